#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: testssl.sh finds nothing in the TLS of a node with default options that it ranks above LOW.

Method: it asks `weft tls-echo`, which is a node's TLS, for protocols, ciphers, forward secrecy, the server's
preference and vulnerabilities; its findings are read as JSON.  A run that found less than it always does proves
nothing, and fails.
It takes more than a minute, so it is a step of script/test and no test of ctest.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

import harness

WEFT = os.environ["WEFT"]
RUN_S = 400
HARMLESS = {"OK", "INFO", "LOW", "DEBUG"}
# What testssl.sh says of itself, and not of the node.
OF_ITSELF = {"engine_problem"}
MUST_BE_FOUND = {"SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3", "cipherlist_NULL", "cipherlist_AVERAGE", "PFS",
                 "cipher_order", "heartbleed", "CCS", "ROBOT", "secure_renego", "SWEET32", "FREAK", "LOGJAM", "BEAST",
                 "LUCKY13", "RC4"}


class Echo(harness.WeftNode):
    """`weft tls-echo FILE`."""

    def command(self, path):
        return [self.weft, "tls-echo", path]


def config(plain, tls, certificates):
    certificate, key = certificates.node("n1", "127.0.0.1")
    return f"""\
cluster_name: asked
listen_address: 127.0.0.1
storage_port: {plain}
ssl_storage_port: {tls}
server_encryption_options:
    internode_encryption: all
    certificate: {certificate}
    keyfile: {key}
    truststore: {certificates.ca}
weft:
    dc: dc1
    rack: r1
"""


def findings(program, folder):
    certificates = harness.WeftCertificates(WEFT, os.path.join(folder, "certificates"), "asked")
    echo = Echo(WEFT, lambda plain, tls: config(plain, tls, certificates), ("tls",))
    out = os.path.join(folder, "findings.json")
    try:
        echo.start()
        subprocess.run([program, "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "-p", "-s", "-f",
                        "-P", "-U", "--add-ca", certificates.ca, "--jsonfile", out, f"127.0.0.1:{echo.tls_port}"],
                       stdin=subprocess.DEVNULL, timeout=RUN_S, check=False)
    finally:
        echo.close()
    with open(out, encoding="utf-8") as file:
        return json.load(file)


def main():
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if program is None:
        print("testssl.sh is not installed: apt-get install testssl.sh", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        found = findings(program, folder)
    missing = MUST_BE_FOUND - {finding["id"] for finding in found}
    bad = [finding for finding in found if finding["severity"] not in HARMLESS and finding["id"] not in OF_ITSELF]
    for finding in bad:
        print(f"{finding['severity']}: {finding['id']}: {finding['finding']}")
    if missing:
        print(f"not looked at: {' '.join(sorted(missing))}")
    print(f"{len(found)} findings, {len(bad)} above LOW")
    return 1 if bad or missing else 0


if __name__ == "__main__":
    sys.exit(main())
