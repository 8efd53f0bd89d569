# SPDX-License-Identifier: Apache-2.0
"""What the interop tests share: bounded waiting, free ports, throw-away certificates and a running weft node."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

POLL_S = 0.01
START_S = 20.0


def wait_until(condition, what, seconds=10.0):
    """Poll until condition() is true and give its value; after that many seconds fail with what()."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(POLL_S)
    return value


def free_ports(count, addresses=("127.0.0.1",)):
    """Ports free on all the addresses, outside the range that outgoing connections draw from."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        low, high = map(int, file.read().split())
    outside = [port for port in range(10000, 65535) if not low <= port <= high] or range(10000, 65535)
    found = []
    while len(found) < count:
        port = random.choice(outside)
        if port not in found and all(port_is_free(address, port) for address in addresses):
            found.append(port)
    return found


def port_is_free(address, port):
    """Whether a server could listen there now; connections that linger after their end are no obstacle."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError:
            return False
        return True


def openssl_certificates(folder, names=("server", "client")):
    """A CA and leaves under it by the openssl program, for tests that run without weft."""
    def run(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=twin CA", "-days", "2")
    for name in names:
        run("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-out", f"{name}.crt")


def refusals(status, reason):
    """How often a node refused for that reason, by its status."""
    return status.get("counters", {}).get("refused_by_reason", {}).get(reason, 0)


class WeftCertificates:
    """A CA and node certificates as `weft certs` makes them."""

    def __init__(self, weft, folder, cluster):
        self.weft, self.folder, self.cluster = weft, folder, cluster
        os.makedirs(folder, exist_ok=True)
        self._run("certs", "ca", "--cluster", cluster, "--out", folder)

    def _run(self, *arguments):
        done = subprocess.run([self.weft, *arguments], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"weft {' '.join(arguments)}: exit {done.returncode}: {done.stderr}")

    def node(self, name, address, dc="dc1", rack="r1", node_id=None):
        """Make a node's pair; give (certificate, key)."""
        arguments = ["--id", node_id] if node_id else []
        self._run("certs", "node", name, "--ca", self.folder, "--cluster", self.cluster, "--dc", dc, "--rack", rack,
                  "--address", address, "--out", self.folder, *arguments)
        return self.path(f"{name}.crt"), self.path(f"{name}.key")

    def path(self, name):
        return os.path.join(self.folder, name)

    @property
    def ca(self):
        return self.path("ca.crt")


class WeftNode:
    """`weft node FILE` in a folder of its own, from start() until it is stopped.

    config(ports) gives the YAML text for a (plain, TLS) pair of ports; a port that was taken between the choice
    and the start is answered by another choice.
    """

    def __init__(self, weft, config, listeners=("plain",), address="127.0.0.1", arguments=(), ports=None):
        self.weft, self.config, self.listeners = weft, config, listeners
        self.address, self.arguments, self.ports = address, list(arguments), ports
        self.folder = tempfile.mkdtemp(prefix="weft-interop-")
        self.process = None

    def start(self):
        for attempt in range(3):
            self.plain_port, self.tls_port = self.ports or free_ports(2, (self.address,))
            path = os.path.join(self.folder, "weft.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.config(self.plain_port, self.tls_port))
            self.log_path = os.path.join(self.folder, f"log.{attempt}")
            with open(self.log_path, "wb") as log:
                self.process = subprocess.Popen(self.command(path), stdin=subprocess.DEVNULL,
                                                stdout=log, stderr=log, env={**os.environ, **self._environment()})
            try:
                for kind in self.listeners:
                    self.wait_log(self._listening(kind), START_S)
                return self
            except AssertionError:
                text = self.log()
                self.kill()
                if "in use" not in text.lower():
                    self.close()
                    raise
        self.close()
        raise AssertionError("no free port in three tries")

    def command(self, path):
        return [self.weft, "node", path, *self.arguments]

    def _environment(self):
        return {"STATE_DIRECTORY": self.folder, "XDG_STATE_HOME": self.folder}

    def _listening(self, kind):
        port = self.plain_port if kind == "plain" else self.tls_port
        return rf"I listening {kind} {re.escape(self.address)}:{port}\b"

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="backslashreplace") as file:
            return file.read()

    def wait_log(self, pattern, seconds=10.0):
        """Wait for a log line; a node that ended will not write it any more."""
        def seen():
            ended = self.process.poll() is not None
            found = re.search(pattern, self.log())
            if ended and not found:
                raise AssertionError(f"weft exited {self.process.returncode} before {pattern!r}:\n{self.log()}")
            return found

        return wait_until(seen, lambda: f"{pattern!r} in the log:\n{self.log()[-4000:]}", seconds)

    @property
    def plain(self):
        return self.address, self.plain_port

    @property
    def tls(self):
        return self.address, self.tls_port

    def running(self):
        return self.process.poll() is None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds=15.0):
        """The exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"weft does not end within {seconds} s:\n{self.log()[-4000:]}") from None

    def stop(self):
        """SIGTERM must end it with exit code 0."""
        self.terminate()
        code = self.wait()
        if code != 0:
            raise AssertionError(f"weft exited {code}:\n{self.log()[-4000:]}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
