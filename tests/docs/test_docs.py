#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what README.md and docs/ show compiles, and what they point at exists.

Method: every ```c block of the Markdown files is compiled with the project's warnings.  A block with a main() is a
whole program: it is linked with the library too.  Any other block may be declarations or statements; it may use the
names in PRELUDE without saying where they come from, and nothing else that the headers do not declare.  Links to files
of the project must lead to one.  A whole program in the README is one of examples/, word for word.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
# A fragment shows a part: what it defines may stay unused.
FRAGMENT_FLAGS = ["-Wno-unused", "-Wno-uninitialized"]
PRELUDE = """
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/weft.h>
extern weft_node *node;
extern weft_shard *shard;
extern weft_request *request;
extern weft_peer_id peer;
extern struct weft_error why;
extern void *ctx;
"""


def blocks_of(text):
    """Yields (line, code) of each C block; line is where its code begins."""
    begin, lines = None, []
    for number, line in enumerate(text.splitlines(), 1):
        if begin is None and re.fullmatch(r"```c\b.*", line.strip()):
            begin, lines = number + 1, []
        elif begin is not None and line.strip() == "```":
            yield begin, "\n".join(lines) + "\n"
            begin = None
        elif begin is not None:
            lines.append(line)
    if begin is not None:
        yield begin, None


def compile_c(options, code, flags, extra=()):
    """Returns the compiler's complaints, empty if there are none."""
    command = [options.compiler, *FLAGS, *flags, "-I", f"{options.root}/include", "-x", "c", "-", *extra]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr or f"exit {done.returncode}\n"


def check_program(options, place, code):
    if options.compile_only:
        return compile_c(options, place + code, ["-fsyntax-only"])
    with tempfile.TemporaryDirectory() as folder:
        library = options.library
        search = f"-Wl,-rpath,{pathlib.Path(library).parent}"
        link = ["-o", f"{folder}/program", "-x", "none", library, search, "-pthread"]
        return compile_c(options, place + code, [], link)


def check_block(options, name, line, code):
    place = f'#line {line} "{name}"\n'
    if re.search(r"\bint main\(", code):
        return check_program(options, place, code)
    flags = ["-fsyntax-only", *FRAGMENT_FLAGS]
    as_file = compile_c(options, PRELUDE + place + code, flags)
    if as_file == "":
        return ""
    function = f"enum weft_err fragment(void);\nenum weft_err fragment(void)\n{{\n{place}{code}\nreturn WEFT_OK;\n}}\n"
    as_body = compile_c(options, PRELUDE + function, flags)
    # Show the complaint of the reading that got further: code that looks like statements, or like declarations.
    return as_body and min(as_file, as_body, key=lambda text: text.count("error:"))


def check_links(root, path, text):
    """Yields a complaint for each relative link that leads nowhere."""
    text = re.sub(r"```.*?```", lambda match: "\n" * match.group().count("\n"), text, flags=re.S)
    for match in re.finditer(r"\[[^\]]*\]\(([^)\s]+)\)", text):
        target = match.group(1).split("#")[0]
        if target and not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path.relative_to(root)}:{line}: no such file: {target}"


def check_example(options, code):
    """Returns a complaint if a whole program of the README is not an example."""
    if "int main(" not in code:
        return ""
    shown = code.strip()
    examples = (options.root / "examples").glob("*.c")
    same = any(shown in path.read_text(encoding="utf-8") for path in examples)
    return "" if same else "this program is none of examples/\n"


def self_test(options):
    """The check itself must fail on what is wrong; otherwise its passes mean nothing."""
    program = "#include <weft/weft.h>\nint main(void)\n{\n    return weft_version(%s) == NULL;\n}\n"
    good = ["weft_peer_id other = peer;", "weft_node_drain(node);", "int f(void);", program % ""]
    bad = ["weft_no_such_call(node);", "int f(void) { return unknown; }", program % "1"]
    wrong = [code for code in good if check_block(options, "self", 1, code)]
    wrong += [code for code in bad if not check_block(options, "self", 1, code)]
    if next(check_links(options.root, options.root / "x.md", "a [link](no/such/file.md)"), None) is None:
        wrong.append("a link to nowhere")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", default="cc")
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--library", required=True, help="libweft.so to link programs with")
    parser.add_argument("--compile-only", action="store_true", help="link nothing (a sanitizer's library)")
    options = parser.parse_args()
    failures = [f"self-test: judged wrongly: {code}" for code in self_test(options)]
    count = 0
    files = [options.root / "README.md", options.root / "CONTRIBUTING.md"]
    files += sorted((options.root / "docs").glob("**/*.md"))
    for path in files:
        if not path.exists():
            failures.append(f"{path.name}: missing")
            continue
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(options.root))
        failures += check_links(options.root, path, text)
        for line, code in blocks_of(text):
            count += 1
            complaint = "a block that never ends\n" if code is None else check_block(options, name, line, code)
            if not complaint and name == "README.md":
                complaint = check_example(options, code)
            if complaint:
                failures.append(f"{name}:{line}: this block does not compile:\n{complaint}")
    for failure in failures:
        print(failure)
    print(f"{len(files)} files, {count} blocks of C, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
