#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes small mechanical bugs in the code of the encryption policy, and checks that its unit tests notice each.

    tests/mutants/generate_policy.py              all mutants
    tests/mutants/generate_policy.py WORD...      those whose names hold every WORD
    tests/mutants/generate_policy.py --list       their names

Each mutant is one change of one place in SOURCES: a comparison, a negation, a condition, a constant, a name that
stands for its counterpart, a statement that is gone.  What does not compile, and what compiles to the very code of the
original or of another mutant, is no mutant.  The others are linked with the tests in TESTS, which need nothing else, so
that one takes a fraction of a second.

A survivor is fine if policy_survivors.txt says why no test could notice it: a line with the mutant's name, and below
it, indented, the argument.
Failure modes: a survivor that is not listed there, a listed one that is killed or is no mutant any more, one without
an argument, and fewer than MUTANTS_MIN mutants make the exit code 1.  Tests that fail without a mutant: 2.
"""
import argparse
import concurrent.futures
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SURVIVORS = pathlib.Path(__file__).with_name("policy_survivors.txt")
SOURCES = ["location.c", "policy.c", "policy_kind.c", "policy_step.c"]
FOLDER = "topology/cluster"
TESTS = ["test_policy_table", "test_policy", "test_policy_step", "test_policy_claims"]
# What the tests and the sources need beside themselves.
SUPPORT = ["engine/base/assert.c", "engine/base/error.c", "engine/base/prng.c"]
MUTANTS_MIN = 150
COMPILER = os.environ.get("CC", "gcc")
# Reading or writing beyond an array ends the test instead of working by chance.
FLAGS = ["-std=c17", "-D_GNU_SOURCE", "-fPIC", "-O2", "-Werror=return-type", "-fsanitize=bounds-strict",
         "-fsanitize-undefined-trap-on-error", f"-I{ROOT}", f"-I{ROOT}/include"]
RUN_SECONDS_MAX = 10

# Names that a hand could write for one another.
FAMILIES = [
    ["WEFT_ENCRYPTION_NONE", "WEFT_ENCRYPTION_RACK", "WEFT_ENCRYPTION_DC", "WEFT_ENCRYPTION_ALL",
     "WEFT_ENCRYPTION_TRANSITIONAL"],
    ["POLICY_PLAIN", "POLICY_TLS", "POLICY_REFUSE"],
    ["RELATION_OWN_UNKNOWN", "RELATION_PEER_UNKNOWN", "RELATION_SAME_RACK", "RELATION_OTHER_RACK", "RELATION_OTHER_DC"],
    ["POLICY_STAGE_NONE", "POLICY_STAGE_NONE_CERTIFICATE", "POLICY_STAGE_TRANSITIONAL", "POLICY_STAGE_RACK",
     "POLICY_STAGE_DC", "POLICY_STAGE_ALL"],
    ["POLICY_KIND_SAME_RACK", "POLICY_KIND_SAME_DC", "POLICY_KIND_OTHER_DC", "POLICY_KIND_UNKNOWN"],
    ["WEFT_LANE_NORMAL", "WEFT_LANE_CONTROL", "WEFT_LANE_BULK"],
    ["WEFT_REASON_SAME_RACK", "WEFT_REASON_SAME_DC"], ["WEFT_REASON_OTHER_RACK", "WEFT_REASON_OTHER_DC"],
    ["WEFT_REASON_OWN_LOCATION_UNKNOWN", "WEFT_REASON_LOCATION_UNKNOWN"],
    ["WEFT_REASON_SCOPE_NONE", "WEFT_REASON_SCOPE_ALL", "WEFT_REASON_TRANSITIONAL", "WEFT_REASON_CONTROL_LANE"],
    ["WEFT_REASON_NO_LISTENER", "WEFT_REASON_PLAINTEXT_UNKNOWN_LOCATION", "WEFT_REASON_PLAINTEXT_FORBIDDEN"],
    ["WEFT_REASON_TLS_LISTENER", "WEFT_REASON_PASSIVE_LISTENER"],
    ["location_known", "location_dc_known", "location_rack_known"], ["location_same_dc", "location_same_rack"],
    ["policy_has_plain_listener", "policy_dials_plain", "policy_uses_location"],
    ["policy_has_tls_listener", "policy_dials_tls", "policy_needs_certificate"],
    ["incoming_tls", "incoming_plain"], ["POLICY_STAGES", "POLICY_KINDS", "WEFT_LANE_COUNT"],
    ["own", "peer"], ["dc", "rack"], ["a", "b"], ["known", "claimed"], ["from", "to"], ["dialer", "acceptor"],
    ["storage_port", "ssl_storage_port"], ["true", "false"],
]
COUNTERPARTS = {name: [other for other in family if other != name] for family in FAMILIES for name in family}
OPERATORS = {"==": ["!="], "!=": ["=="], "<": ["<=", ">="], ">": [">=", "<="], "<=": ["<"], ">=": [">"],
             "&&": ["||"], "||": ["&&"], "++": ["--"]}
TOKEN = re.compile(r"""(?P<skip>/\*.*?\*/|//[^\n]*|^[ \t]*\#[^\n]*)|(?P<text>"(?:\\.|[^"\\])*")
                       |(?P<char>'(?:\\.|[^'\\])*')
                       |(?P<word>[A-Za-z_]\w*)|(?P<number>\d\w*)
                       |(?P<operator>\+\+|--|->|[=!<>]=|&&|\|\||[^\s\w])""",
                   re.VERBOSE | re.DOTALL | re.MULTILINE)
FUNCTION = re.compile(r"^(?!static const struct|(?:enum|struct) \w+ \{)[a-z][^;={}]*?(\w+)\([^;{}]*\)\n\{",
                      re.MULTILINE)


class Broken(Exception):
    """Not an answer about the tests, but something to repair here."""


class Mutant:
    """One change: `old` at an offset of a file becomes `new`."""

    def __init__(self, file, function, offset, old, new):
        self.file, self.function, self.offset, self.old, self.new = file, function, offset, old, new
        self.name = ""

    def title(self):
        def short(text):
            return re.sub(r"\s+", " ", text).strip()
        change = f"{short(self.old)} -> {short(self.new)}" if short(self.new) else f"without {short(self.old)}"
        return f"{self.file} {self.function}: {change}"

    def apply(self, text):
        return text[:self.offset] + self.new + text[self.offset + len(self.old):]


def closing(text, at):
    """The offset of the parenthesis that closes the one at `at`."""
    depth = 0
    for offset in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[offset], 0)
        if depth == 0:
            return offset
    raise Broken(f"a parenthesis without end: {text[at:at + 40]}")


def changes_of_tokens(text):
    """Yields (offset, old, new) for single words, numbers and operators."""
    for match in TOKEN.finditer(text):
        old, offset = match.group(), match.start()
        if match.lastgroup == "word":
            for new in COUNTERPARTS.get(old, []):
                yield offset, old, new
        elif match.lastgroup == "number" and re.fullmatch(r"\d+", old):
            yield offset, old, str(int(old) + 1)
        elif match.lastgroup == "text":
            yield offset, old, '"?' + old[1:]
        elif match.lastgroup == "char":
            yield offset, old, "'?'"
        elif match.lastgroup == "operator":
            for new in OPERATORS.get(old, []):
                yield offset, old, new
            if old == "!":
                yield offset, old, ""


def changes_of_conditions(text):
    """An if, a loop or the question of a ?: the other way round, always, and never; a part of a condition gone."""
    for match in re.finditer(r"\bif (\()", text):
        end = closing(text, match.start(1))
        old = text[match.start(1):end + 1]
        for new in (f"(!{old})", "(true)", "(false)"):
            yield match.start(1), old, new
    for match in re.finditer(r"\breturn ([^;?]+?)( \?|;)", text):
        old = match.group(1)
        if match.group(2) == " ?" or re.search(r"==|!=|&&|\|\||^!|^location_\w+\(|^name_\w+\(|^policy_\w+\(", old):
            for new in (f"!({old})", "true", "false"):
                yield match.start(1), old, new
    for match in re.finditer(r"[\w>.()-]+(?:\([^()]*\))?(?: [=!]= \w+)?( && | \|\| )", text):
        yield match.start(), match.group(), ""


def changes_of_statements(text):
    """A whole statement gone: one that is neither a declaration nor a part of something."""
    statement = r"^[ \t]+((?:return|break|continue)\b[^;]*;|[\w\[\]>.*()-]+(?:\+\+)? ?[^;={}]*?(?: = [^;{}]+)?;)$"
    for match in re.finditer(statement, text, re.MULTILINE):
        if not re.match(r"(?:enum|struct|const|bool|char|uint\d+_t|int) ", match.group(1)):
            yield match.start(1), match.group(1), ""


def mutants_of(file):
    text = (ROOT / FOLDER / file).read_text(encoding="utf-8")
    functions = [(match.start(), text.index("\n}", match.end()), match.group(1)) for match in FUNCTION.finditer(text)]
    if len(functions) != text.count("\n{"):
        raise Broken(f"{file}: {len(functions)} functions found of {text.count(chr(10) + '{')}")
    seen = {}
    for maker in (changes_of_tokens, changes_of_conditions, changes_of_statements):
        for begin, end, function in functions:
            body = text.index("{", begin)
            for offset, old, new in maker(text[body:end]):
                mutant = Mutant(file, function, body + offset, old, new)
                # The ordinal among equals of the same function: names stay when lines move.
                count = seen[mutant.title()] = seen.get(mutant.title(), 0) + 1
                mutant.name = mutant.title() + (f" ({count})" if count > 1 else "")
                yield mutant


def compile_object(source, target):
    """True if it compiles."""
    command = [COMPILER, *FLAGS, f"-iquote{ROOT}/{FOLDER}", "-c", str(source), "-o", str(target)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Workshop:
    """A folder with all objects of the original and the tests, which take the policy from a shared library."""

    def __init__(self, folder):
        self.folder = folder
        for name in SOURCES:
            self.make(ROOT / FOLDER / name, name)
        for name in SUPPORT:
            self.make(ROOT / name, name)
        (folder / "original").mkdir()
        self.link(folder / "original", {})
        support = [str(self.object(name)) for name in SUPPORT]
        for name in TESTS:
            self.make(ROOT / "tests/unit" / f"{name}.c", f"{name}.c")
            libraries = [f"-L{folder}/original", "-lpolicy", "-lcmocka"]
            self.must([COMPILER, str(self.object(f"{name}.c")), *support, *libraries, "-o", str(folder / name)],
                      f"linking {name}")
        self.seen = {self.code(name, self.object(name)) for name in SOURCES}

    def object(self, name):
        return self.folder / (name.replace("/", "_")[:-2] + ".o")

    def make(self, source, name):
        if not compile_object(source, self.object(name)):
            raise Broken(f"{name} does not compile")

    def must(self, command, what):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Broken(f"{what}: {done.stderr.strip()}")

    def link(self, to, replaced):
        objects = [str(replaced.get(name, self.object(name))) for name in SOURCES]
        self.must([COMPILER, "-shared", *objects, "-o", str(to / "libpolicy.so")], "linking the policy")

    def code(self, name, target):
        """Stands for what the object of a source holds."""
        return name + hashlib.sha256(target.read_bytes()).hexdigest()

    def run(self, folder):
        """The test that fails, or None."""
        environment = dict(os.environ, LD_LIBRARY_PATH=str(folder))
        for name in TESTS:
            try:
                code = subprocess.run([str(self.folder / name)], env=environment, capture_output=True,
                                      timeout=RUN_SECONDS_MAX, check=False).returncode
            except subprocess.TimeoutExpired:
                return f"{name} (too slow)"
            if code != 0:
                return name
        return None

    def prepare(self, indexed):
        """Write and compile one: the mutant, its object, and what that holds; None if it does not compile."""
        index, mutant = indexed
        folder = self.folder / f"m{index}"
        folder.mkdir()
        text = (ROOT / FOLDER / mutant.file).read_text(encoding="utf-8")
        (folder / mutant.file).write_text(mutant.apply(text), encoding="utf-8")
        target = folder / "mutant.o"
        compiles = compile_object(folder / mutant.file, target)
        return mutant, target, self.code(mutant.file, target) if compiles else None

    def try_one(self, made):
        mutant, target, _ = made
        self.link(target.parent, {mutant.file: target})
        return mutant, self.run(target.parent)


def read_survivors():
    """The arguments, by the mutants' names."""
    arguments, name = {}, None
    for line in SURVIVORS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if not line[0].isspace():
            name = line.strip()
            if name in arguments:
                raise Broken(f"{SURVIVORS.name}: twice: {name}")
            arguments[name] = ""
        elif name is None:
            raise Broken(f"{SURVIVORS.name}: an argument without a mutant: {line.strip()}")
        else:
            arguments[name] = f"{arguments[name]} {line.strip()}".strip()
    return arguments


def judge(results, arguments, complete):
    """The complaints."""
    survivors = [mutant.name for mutant, killer in results if killer is None]
    killed = {mutant.name: killer for mutant, killer in results if killer is not None}
    for name in survivors:
        if name not in arguments:
            yield f"SURVIVED {name}"
    for name, argument in arguments.items():
        if name in killed:
            yield f"listed as a survivor, but {killed[name]} kills it: {name}"
        elif name not in survivors and complete:
            yield f"listed as a survivor, but no mutant: {name}"
        if not argument:
            yield f"listed without an argument: {name}"
    if complete and len(results) < MUTANTS_MIN:
        yield f"only {len(results)} mutants; at least {MUTANTS_MIN}"


def run(options, folder):
    begin = time.monotonic()
    chosen = [mutant for file in SOURCES for mutant in mutants_of(file)
              if all(word in mutant.name for word in options.words)]
    if options.list:
        print("\n".join(mutant.name for mutant in chosen))
        return 0
    if not chosen:
        raise Broken("no mutant has such a name")
    workshop = Workshop(folder)
    failed = workshop.run(folder / "original")
    if failed is not None:
        raise Broken(f"{failed} fails without a mutant")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        distinct, uncompiled, equal = [], 0, 0
        for made in pool.map(workshop.prepare, enumerate(chosen)):
            if made[2] is None:
                uncompiled += 1
            elif made[2] in workshop.seen:
                equal += 1
            else:
                workshop.seen.add(made[2])
                distinct.append(made)
        results = list(pool.map(workshop.try_one, distinct))
    if options.verbose:
        for mutant, killer in results:
            print(f"{killer or 'SURVIVED'}: {mutant.name}")
    complaints = list(judge(results, read_survivors(), not options.words))
    for complaint in complaints:
        print(complaint)
    killed = sum(killer is not None for _, killer in results)
    print(f"{len(results)} mutants of the policy: {killed} killed, {len(results) - killed} survived; left out: "
          f"{uncompiled} that do not compile, {equal} of the same code as another ({time.monotonic() - begin:.0f} s)")
    print(f"RESULT {'failed' if complaints else 'passed'} policy_mutants")
    return 1 if complaints else 0


def main():
    parser = argparse.ArgumentParser(description="Makes mechanical mutants of the policy; its tests must notice each.")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only mutants whose names hold every WORD")
    parser.add_argument("--list", action="store_true", help="print the names and try none")
    parser.add_argument("--verbose", action="store_true", help="say of each which test kills it")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            return run(options, pathlib.Path(folder))
    except Broken as why:
        print(f"error: {why}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
