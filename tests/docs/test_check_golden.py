# SPDX-License-Identifier: Apache-2.0
"""Goal: every bad configuration is answered in lines that a newcomer can act on, and not one word of them changes by
accident.

Method: each case is a file, and what lies beside it, in a folder of its own; `weft check` reads it as an operator would
type it.  Exit code, errors and warnings of all cases are one file, check_golden.txt, compared as a whole.

    test_check_golden.py --write     after a change of words: read the difference, then commit it
"""
import difflib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

WEFT = os.environ["WEFT"]
GOLDEN = pathlib.Path(__file__).with_name("check_golden.txt")
RUN_S = 30
NAMED = "cluster_name: c\n"
SEO = NAMED + "server_encryption_options:\n"
HERE = NAMED + "listen_address: 10.0.0.1\n"
NODES = HERE + "weft:\n  nodes:\n"
ID = "6f1c2d3e-4b5a-4978-8695-a4b3c2d1e0f9"
CPUS = os.cpu_count()


class Case:
    """text: of weft.yaml.  more: files beside it, by name.  make: what a text cannot say."""

    def __init__(self, name, text, more=None, make=None, arguments=("weft.yaml",)):
        self.name, self.text, self.more, self.make, self.arguments = name, text, more or {}, make, arguments


def link_to_sysfs(folder):
    """A file whose size is not what reading it gives, as if somebody were writing it."""
    (folder / "weft.yaml").symlink_to("/sys/devices/system/cpu/possible")


def sparse(folder):
    with open(folder / "weft.yaml", "wb") as file:
        file.truncate(1 << 30)


def certificates(folder, key="n1.key"):
    """A real certificate with its key, in the names that the cases use."""
    def certs(*arguments):
        subprocess.run([WEFT, "certs", *arguments], cwd=folder, check=True, capture_output=True, timeout=RUN_S)
    certs("ca", "--cluster", "c", "--out", ".")
    certs("node", "n1", "--ca", ".", "--cluster", "c", "--dc", "dc1", "--rack", "r1", "--address", "10.0.0.1",
          "--out", ".")
    os.rename(folder / key, folder / "node.key")


def open_key(folder):
    certificates(folder)
    os.chmod(folder / "node.key", 0o644)


def expired(folder):
    """The same, of a day that is over."""
    certificates(folder)
    subprocess.run(["openssl", "req", "-new", "-key", "node.key", "-subj", "/CN=n1", "-out", "n1.csr"], cwd=folder,
                   check=True, capture_output=True, timeout=RUN_S)
    subprocess.run(["openssl", "x509", "-req", "-in", "n1.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                    "-days", "-1", "-out", "n1.crt"], cwd=folder, check=True, capture_output=True, timeout=RUN_S)


def fifo(folder):
    certificates(folder)
    os.mkfifo(folder / "fifo")


def passwords(folder):
    """The same with an encrypted key, and the files that its password may be looked for in."""
    for name, text in (("password", "weft\n"), ("wrong", "waft\n"), ("two lines", "weft\nweft\n"), ("open", "weft\n")):
        (folder / name).write_text(text)
        os.chmod(folder / name, 0o644 if name == "open" else 0o600)
    certificates(folder)
    os.rename(folder / "node.key", folder / "plain.key")
    subprocess.run([WEFT, "certs", "node", "n1", "--ca", ".", "--cluster", "c", "--dc", "dc1", "--rack", "r1",
                    "--address", "10.0.0.1", "--out", ".", "--force", "--password-file", "password"], cwd=folder,
                   check=True, capture_output=True, timeout=RUN_S)
    os.rename(folder / "n1.key", folder / "node.key")


TLS = SEO + "    internode_encryption: all\n    certificate: n1.crt\n    keyfile: node.key\n    truststore: ca.crt\n"
LOCKED = TLS + "weft: { keyfile_password_file: NAME }\n"
CASES = [
    # Identity and topology, as far as files say it.
    Case("D1 own id at another address", HERE + f"weft:\n  node_id: {ID}\n  nodes:\n"
         f"    - {{ address: 10.0.0.2, id: {ID} }}\n    - {{ address: 10.0.0.1, id: 1{ID[1:]} }}\n"),
    Case("D2 one id for two nodes", NODES + f"    - {{ address: 10.0.0.2, id: {ID} }}\n"
         f"    - {{ address: 10.0.0.3, id: {ID} }}\n"),
    Case("D3 an id that is none", NODES + "    - { address: 10.0.0.2, id: node-2 }\n"),
    Case("D4 own rack said twice, differently", HERE + "weft:\n  dc: dc1\n  rack: r1\n  nodes:\n"
         "    - { address: 10.0.0.1, dc: dc1, rack: r2 }\n"),
    Case("D5 own dc said twice, differently", HERE + "endpoint_snitch: GossipingPropertyFileSnitch\n"
         "weft: { dc: dc1, rack: r1 }\n", {"cassandra-rackdc.properties": "dc=dc2\nrack=r1\n"}),
    Case("D6 one name of a rack in two dcs", NODES + "    - { address: 10.0.0.2, dc: dc1, rack: r1 }\n"
         "    - { address: 10.0.0.3, dc: dc2, rack: r1 }\n"),
    Case("D7 empty names", NODES + "    - { address: 10.0.0.2, dc: '', rack: }\n"
         "    - { address: 10.0.0.3, rack: r1 }\n"),
    Case("D8 names in another case", HERE + "weft:\n  dc: dc1\n  rack: r1\n  nodes:\n"
         "    - { address: 10.0.0.1, dc: DC1, rack: r1 }\n"),
    Case("D9 a space behind a name", NODES + "    - { address: 10.0.0.2, dc: 'dc1 ', rack: ' r1' }\n"),
    Case("D10 a look-alike", HERE + "weft:\n  dc: dc1\n  rack: r1\n  nodes:\n"
         "    - { address: 10.0.0.1, dc: d\u04411, rack: r1 }\n"),
    Case("D11 broadcast address that nothing connects from", NAMED + "broadcast_address: 0.0.0.0\n"),
    Case("D12 an IPv4 address in IPv6 clothes", NODES + "    - { address: 10.0.0.2 }\n"
         "    - { address: '::ffff:10.0.0.2' }\n"),
    Case("D13 a link-local address with its scope", NODES + "    - { address: 'fe80::1%eth0' }\n"),
    Case("D14 two nodes behind one address", NODES + "    - { address: 10.0.0.2, dc: dc1, rack: r1 }\n"
         "    - { address: 10.0.0.2, dc: dc2, rack: r1, storage_port: 7100 }\n"),
    # Certificates and keys, as far as files say it.
    Case("E17 a key of another certificate", TLS, make=lambda folder: certificates(folder, "ca.key")),
    Case("E18 a key without a certificate", SEO + "    internode_encryption: all\n    certificate: node.key\n"
         "    keyfile: node.key\n", make=certificates),
    Case("E18 an encrypted key with its password", LOCKED.replace("NAME", "password"), make=passwords),
    Case("E18 an encrypted key without a password", TLS, make=passwords),
    Case("E18 an encrypted key with a wrong password", LOCKED.replace("NAME", "wrong"), make=passwords),
    Case("E18 an encrypted key with two passwords", LOCKED.replace("NAME", "two lines"), make=passwords),
    Case("E18 a password file that is not there", LOCKED.replace("NAME", "nowhere"), make=passwords),
    Case("E18 a password that everybody can read", LOCKED.replace("NAME", "open"), make=passwords),
    Case("E18 a password for a key that needs none", LOCKED.replace("NAME", "password"), make=certificates,
         more={"password": "weft\n"}),
    Case("E18 a password in the other block", TLS + "    keyfile_password_file: password\n", make=passwords),
    Case("E18 a password for no key", NAMED + "weft: { keyfile_password_file: password }\n"),
    Case("E19 an empty file, a directory and a FIFO", SEO + "    internode_encryption: all\n    certificate: empty\n"
         "    keyfile: .\n    truststore: fifo\n", {"empty": ""}, make=fifo),
    Case("E19 a key that everybody can read", TLS, make=open_key),
    # YAML.
    Case("F1 an empty file", ""),
    Case("F2 only comments", "# cluster_name: c\n"),
    Case("F3 tabs", NAMED + "weft:\n\tdc: dc1\n\track: r1\n"),
    Case("F4 a key twice", NAMED + "storage_port: 7000\ncluster_name: d\nweft:\n  heartbeat: 1s\n  heartbeat: 2s\n"),
    Case("F5 unknown keys", SEO + "    internode_encrypton: all\n    trust_store: a.pem\nstorrage_port: 7000\n"
         "weft:\n  heart_beat: 1s\n  nodes: [ { adress: 10.0.0.2 } ]\n"),
    Case("F6 names that YAML would make values of", NAMED + "weft: { dc: 1e3, rack: no }\n"),
    Case("F6 a name that YAML would make nothing of", NAMED + "weft: { dc: 010, rack: null }\n"),
    Case("F7 aliases that grow", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"),
    Case("F8 lists without end", NAMED + "weft: " + "[" * 50000),
    Case("F9 two documents", NAMED + "---\n" + NAMED),
    Case("F10 a byte that is no UTF-8", b"cluster_name: caf\xe9\n"),
    Case("F10 UTF-16 with a mark", NAMED.encode("utf-16")),
    Case("F10 UTF-16 without a mark", NAMED.encode("utf-16-le")),
    Case("F10 a NUL", b"cluster_name: a\0b\n"),
    Case("F11 a file of 1 GiB", None, make=sparse),
    Case("F12 CRLF", "cluster_name: c\r\nstorage_port: 7000x\r\n"),
    Case("F13 a misspelt policy", SEO + "    internode_encryption: racks\n"),
    Case("F13 a policy in capitals", SEO + "    internode_encryption: All\n"),
    Case("F13 a boolean for a policy", SEO + "    internode_encryption: True\n"),
    Case("F14 no policy", SEO + "    internode_encryption:\n"),
    Case("F14 an empty block", SEO),
    Case("F14 keys beside their block", SEO + "internode_encryption: all\ncertificate: n1.crt\n"),
    Case("F14 a policy for a block", NAMED + "server_encryption_options: all\n"),
    Case("F15 a node twice", NODES + "    - { address: 10.0.0.2, dc: dc1, rack: r1 }\n"
         "    - { address: 10.0.0.2, dc: dc1, rack: r2 }\n    - { addresses: [10.0.0.3, 10.0.0.3] }\n"),
    Case("F16 own node not in the topology", HERE + "server_encryption_options: { internode_encryption: none }\n"
         "endpoint_snitch: PropertyFileSnitch\n", {"cassandra-topology.properties": "10.0.0.2=dc1:r1\n"}),
    Case("F17 ports", NAMED + "storage_port: 0\nssl_storage_port: 65536\nweft:\n  nodes:\n"
         "    - { address: 10.0.0.2, storage_port: -1, ssl_storage_port: '7000 ' }\n"),
    Case("F17 one port for two listeners", TLS.replace("all", "dc") + "storage_port: 7001\n", make=certificates),
    Case("F18 sizes", NAMED + "weft:\n  memory_per_shard: 4M\n"
         "  tcp_unsent_bytes_max: 4 mb\n"),
    Case("F18 a size below 0", NAMED + "weft: { memory_per_shard: -1 }\n"),
    Case("F18 a size without a unit", NAMED + "weft: { memory_per_shard: 268435456 }\n"),
    Case("F18 a size of 2^64", NAMED + "weft: { memory_per_shard: 18446744073709551616B }\n"),
    Case("F18 a size that is too small", NAMED + "weft: { memory_per_shard: 4KiB }\n"),
    Case("F19 times", NAMED + "weft:\n  heartbeat: 5\n  handshake_timeout: 0\n  idle_timeout: 1e9h\n"
         "  send_timeout: 30h\n"),
    Case("F20 TLS without a certificate", SEO + "    internode_encryption: all\n"),
    Case("F20 a certificate without a key", SEO + "    certificate: n1.crt\n", make=certificates),
    Case("F20 TLS without a port", TLS + "ssl_storage_port: 0\n", make=certificates),
    Case("F20 client certificates of everybody", TLS.replace("    truststore: ca.crt\n", "") +
         "    require_client_auth: true\n", make=certificates),
    Case("F21 paths that need a shell", SEO + "    internode_encryption: all\n    certificate: ~/n1.crt\n"
         "    keyfile: ${HOME}/n1.key\n    truststore: /path/to/ca.crt\n"),
    Case("F21 placeholders of the shipped file", SEO + "    internode_encryption: none\n"
         "    certificate: conf/scylla.crt\n"
         "    keyfile: conf/scylla.key\n    truststore: <not set, use system trust>\n"
         "    certficate_revocation_list: <not set>\n    require_client_auth: False\n"
         "    priority_string: <not set, use default>\n"),
    Case("F22 client certificates without TLS", SEO + "    internode_encryption: none\n"
         "    require_client_auth: true\n"),
    Case("F22 client certificates that plaintext bypasses", TLS.replace("all", "rack") +
         "    require_client_auth: true\nweft: { require_client_auth_plaintext: refuse }\n", make=certificates),
    Case("F22 two lists of revoked certificates", SEO + "    certficate_revocation_list: n1.crt\n"
         "    certificate_revocation_list: ca.crt\n", make=certificates),
    Case("F22 what this version cannot do", TLS + "    certificate_revocation_list: ca.crt\n"
         "    require_endpoint_verification: yes\n    priority_string: SECURE128\n", make=certificates),
    Case("F20 a priority string that leaves out the certificate", TLS + "    priority_string: SECURE256\n",
         make=certificates),
    Case("E20 a certificate where a list is due, by the historic spelling",
         TLS + "    certficate_revocation_list: ca.crt\n", make=certificates),
    Case("E19 a certificate that has expired", TLS, make=expired),
    Case("F13 nothing like a scope", SEO + "    internode_encryption: ~\n"),
    Case("F23 a file that is being written", None, make=link_to_sysfs),
    Case("F24 a cassandra.yaml", NAMED + "num_tokens: 16\nallocate_tokens_for_local_replication_factor: 3\n"
         "server_encryption_options:\n    internode_encryption: none\n    legacy_ssl_storage_port_enabled: false\n"
         "    keystore: conf/.keystore\n    keystore_password: cassandra\n    truststore: conf/.truststore\n"),
    # What people mistype, in YAML's own terms.
    Case("F3 no space behind a colon", SEO + "    internode_encryption:none\n    require_client_auth: no\n"),
    Case("F3 nothing but words", "cluster_name:c\n"),
    Case("F3 a key too far to the right", NAMED + "  storage_port: 7000\n"),
    Case("F3 a key between two columns", NAMED + "weft:\n    dc: a\n   rack: b\n"),
    Case("F3 an entry between two columns", NAMED + "weft:\n  nodes:\n    - { address: 10.0.0.2 }\n   - 3\n"),
    Case("F3 a key without its colon", NAMED + "storage_port\nweft: { dc: a }\n"),
    Case("F3 a brace that is never closed", NAMED + "weft: { dc: a\nrack: b\n"),
    Case("F3 a bracket that is never closed", NAMED + "weft: { nodes: [ { address: 10.0.0.2 }\n"),
    Case("F3 a quote that is never closed", 'cluster_name: "c\nweft: { dc: a }\n'),
    Case("F3 a value that begins with a sign", "cluster_name: @c\n"),
    Case("F3 a path of Windows", 'cluster_name: "C:\\weft"\n'),
    Case("F3 another YAML", "%YAML 2.0\n---\n" + NAMED),
    Case("F3 a block of text of no kind", "cluster_name: |9x\n c\n"),
    # Addresses, names and logs.
    Case("G1 localhost", NAMED + "listen_address: localhost\n"),
    Case("G2 ports behind addresses", HERE.replace("10.0.0.1", "10.0.0.1:7000") + "broadcast_address: '[::1]:7000'\n"),
    Case("G2 an IPv6 address that ends in a port", NAMED + "listen_address: ::1:7000\n"),
    Case("G3 names of hosts", NODES + "    - { address: " + "a" * 256 + " }\n"
         "    - { address: 'a b' }\n    - { address: host_1.invalid. }\n"),
    Case("G4 every address as a peer", NODES + "    - { address: 0.0.0.0 }\n    - { address: '::' }\n"),
    Case("G5 groups as peers", NODES + "    - { address: 224.0.0.1 }\n    - { address: 255.255.255.255 }\n"
         "    - { address: 'ff02::1' }\n"),
    Case("G6 a name that decides what is plain", TLS.replace("all", "rack").replace(NAMED, HERE) + "weft:\n  nodes:\n"
         "    - { address: localhost, dc: datacenter1, rack: rack1 }\n", make=certificates),
    Case("G7 no resolver", NAMED + "listen_address: node1.invalid\nseed_provider:\n"
         "    - class_name: SimpleSeedProvider\n"
         "      parameters: [ { seeds: \"node2.invalid,10.0.0.2\" } ]\n"),
    Case("G8 a name with a forged line", NAMED.replace("c\n", '"c\\n2026 ERROR fake"\n') +
         'endpoint_snitch: "Simple\\n2026 ERROR fake"\n'),
    Case("G9 a name with terminal codes", NAMED + 'weft: { dc: "\\e[31mred", rack: r1 }\n"\\e[2J": 1\n'),
    Case("G10 formats everywhere", "cluster_name: '%s%n'\nlisten_address: '%s%n'\nendpoint_snitch: '%s%n'\n"
         "'%s%n': 1\nweft: { dc: '%s%n', rack: '%n', shards: '%s%n', '%s': 1 }\n"),
    Case("G10 an interface that is not there", NAMED + "listen_interface: eth99\n"),
    Case("G10 an interface beside an address", HERE + "listen_interface: lo\n"),
    # The command line, as far as it is about files.
    Case("H1 an unknown option", NAMED, arguments=("--frobnicate", "weft.yaml")),
    Case("H2 an option without its value", NAMED, arguments=("weft.yaml", "--from")),
    Case("H2 no file", NAMED, arguments=()),
    Case("H2 two files", NAMED, arguments=("weft.yaml", "b.yaml")),
    Case("H2 a file that is not there", NAMED, arguments=("nowhere.yaml",)),
    Case("H2 a directory", NAMED, arguments=(".",)),
    Case("H2 a FIFO", None, make=lambda folder: os.mkfifo(folder / "weft.yaml")),
    Case("H2 a device", NAMED, arguments=("/dev/zero",)),
    Case("H3 no shards", NAMED + "weft: { shards: 0 }\n"),
    Case("H3 more shards than cores", NAMED + f"weft: {{ shards: {CPUS + 1} }}\n"),
    Case("H3 more shards than a node can have", NAMED + "weft: { shards: 1000 }\n"),
    Case("H3 shards: all", NAMED + "weft: { shards: all }\n"),
    Case("H4 a CPU that is not there", NAMED + "weft: { shards: 1000-1001 }\n"),
    Case("H8 lanes of another version", NAMED + "weft:\n  lanes: [ { name: control }, { name: repair } ]\n"),
    Case("H8 lanes in another order", NAMED + "weft:\n"
         "  lanes: [ { name: bulk }, { name: normal }, { name: control } ]\n"),
    Case("H8 a state directory that needs a shell", NAMED + "weft: { state_directory: $HOME/weft }\n"),
]


def check(case):
    """What an operator sees, without what is of this machine alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(os.path.realpath(name))
        if case.text is not None:
            text = case.text.encode() if isinstance(case.text, str) else case.text
            (folder / "weft.yaml").write_bytes(text)
        for file, text in case.more.items():
            (folder / file).write_text(text, encoding="utf-8")
        if case.make is not None:
            case.make(folder)

        def run(*more):
            return subprocess.run([WEFT, "check", *case.arguments, *more], cwd=folder, stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=RUN_S, check=False)
        done = run()
        lines = done.stderr.decode("ascii").splitlines()
        if done.returncode == 0:
            lines += ["warning: " + line for line in json.loads(run("--json").stdout)["warnings"]]
        return [f"exit {done.returncode}"] + [plain(line, str(folder)) for line in lines]


def plain(line, folder):
    line = line.replace(folder, "DIR").replace(WEFT, "weft")
    line = re.sub(r'(cannot resolve "[^"]*": )[^;]*', r"\1WHY", line)
    line = re.sub(r"\b(error:)[0-9A-F]{8}:", r"\1", line)
    line = re.sub(r"(expired at )[0-9TZ:-]+", r"\1WHEN", line)
    line = re.sub(rf"(shards: ){CPUS + 1} is too many; this process may use {CPUS} ",
                  r"\1MORE is too many; this process may use CPUS ", line)
    line = re.sub(r"(which has CPUs )[0-9,-]+$", r"\1CPUS", line)
    return line


def golden():
    text = []
    for case in CASES:
        text += [f"== {case.name}", *check(case), ""]
    return "\n".join(text)


class Golden(unittest.TestCase):
    maxDiff = None

    def test_check__bad_inputs__exactly_these_lines(self):
        said = golden()
        known = GOLDEN.read_text(encoding="utf-8")
        difference = "\n".join(difflib.unified_diff(known.splitlines(), said.splitlines(), "known", "said",
                                                    lineterm=""))
        self.assertEqual(said, known, "\n" + difference)

    def test_cases__every_bad_input_that_a_file_can_be(self):
        ids = {case.name.split()[0] for case in CASES}
        wanted = {f"D{i}" for i in range(1, 15)} | {f"F{i}" for i in range(1, 25)} | {f"G{i}" for i in range(1, 11)}
        self.assertEqual(wanted - ids, set())
        self.assertEqual(len({case.name for case in CASES}), len(CASES))

    def test_golden__each_error__has_a_place_and_a_remedy(self):
        """An error of a file says where, and more than that it is wrong."""
        for line in GOLDEN.read_text(encoding="utf-8").splitlines():
            if line.startswith("weft.yaml:"):
                self.assertRegex(line, r"^weft\.yaml:(\d+:\d+: \S+)?: .{15,}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        GOLDEN.write_text(golden(), encoding="utf-8")
    else:
        unittest.main()
