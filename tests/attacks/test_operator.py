# SPDX-License-Identifier: Apache-2.0
"""Goal: a wrong command line, a limit or a lost stream is answered plainly and at once, and never by a stuck node.

Method: tables of command lines and settings with what must be said about each; then nodes under limits, with streams
that are closed, full or abandoned, and under signals, each with a good client beside it where it can run at all.
"""

import contextlib
import errno
import os
import resource
import select
import signal
import stat
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from operator_host import NOBODY, close_streams, forbid_io_uring, limit, nobody_can_run, run
from target import SELF, STALL_MAX_US, WEFT, Pulse, config_text, is_sanitized

import client as twin_client
import harness
import seastar_rpc as rpc

# arguments, exit code, what the error must contain
COMMAND_LINES = {
    "unknown_command": (["frobnicate"], 2, "frobnicate"),
    "unknown_option_of_the_program": (["--frobnicate"], 2, "--frobnicate"),
    "nothing": ([], 2, "Usage"),
    "unknown_option": (["node", "--frobnicate", "x"], 2, "--frobnicate"),
    "unknown_short_option": (["node", "-Z", "x"], 2, "Z"),
    "option_without_its_value": (["node", "--probe"], 2, "requires an argument"),
    "option_with_an_empty_value": (["node", "--probe=", "x"], 2, "--probe"),
    "interval_of_0": (["node", "--probe", "0s", "x"], 2, "--probe"),
    "interval_without_a_unit": (["node", "--probe", "5", "x"], 2, "--probe"),
    "marker_too_short": (["node", "--probe-marker", "ab", "x"], 2, "--probe-marker"),
    "no_file": (["node"], 2, "configuration file"),
    "two_files": (["node", "a", "b"], 2, '"b"'),
    "formats_in_an_option": (["node", "--%s%n%s%n"], 2, "%s%n"),
    "formats_in_a_file_name": (["node", "/nowhere/%s%n%s%n"], 1, "%s%n%s%n"),
    "no_such_file": (["node", "/nowhere/weft.yaml"], 1, "/nowhere/weft.yaml"),
    "directory_for_a_file": (["node", "/"], 1, "/"),
    "check_without_a_file": (["check"], 2, "FILE"),
    "bench_of_nothing": (["bench", "nothing"], 2, "nothing"),
    "long_argument": (["z" * 100_000], 2, "zzz"),
}

# Settings under `weft:`, and what `weft check` must say.
CPU_COUNT = len(os.sched_getaffinity(0))
FIRST_CPU = min(os.sched_getaffinity(0))
SHARDS = {
    "zero": ("0", '"0"'),
    "negative": ("-1", '"-1"'),
    "one_more_than_cpus": (str(CPU_COUNT + 1), "too many"),
    "more_than_a_node_can_have": ("257", '"257"'),
    "more_than_a_number_can_say": ("99999999999999999999", "99999999999999999999"),
    "all": ("all", '"all"'),
    "empty": ("''", "empty"),
    "formats": ("'%s%n'", '"%s%n"'),
    "cpu_that_is_not_there": ("1000-1001", "CPU 1000"),
    "range_upside_down": ("1-0", "1-0"),
}


class OperatorCase(unittest.TestCase):
    """Files and nodes of one test."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.chmod(self.folder, 0o755)
        # Whoever a node of this test runs as can keep its state.
        state = os.path.join(self.folder, "state")
        os.mkdir(state)
        os.chmod(state, 0o777)
        os.environ["XDG_STATE_HOME"] = state

    def file(self, text):
        path = os.path.join(self.folder, "weft.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def config(self, **how):
        self.plain_port, self.tls_port = harness.free_ports(2)
        return self.file(config_text(self.plain_port, self.tls_port, **how))

    def assert_refused(self, done, text, code=1):
        """It ended by itself with one error, which says the text, on one line."""
        self.assertEqual(done.returncode, code, done.stderr)
        errors = [line for line in done.stderr.splitlines() if not line.startswith(("I ", "W "))]
        self.assertEqual(len(errors), 1, done.stderr)
        self.assertIn(text, errors[0])

    def start(self, *arguments, more="", **how):
        """A node with its log in a file, unless told otherwise, that accepts connections."""
        path = self.config(more=more)
        self.log_path = os.path.join(self.folder, "log")
        how.setdefault("stderr", self.opened(open(self.log_path, "wb")))
        process = subprocess.Popen([WEFT, "node", path, *arguments], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, **how)
        self.addCleanup(self.end, process)
        harness.wait_until(lambda: self.accepts(process), "the node accepts", 20)
        return process

    def opened(self, file):
        self.addCleanup(file.close)
        return file

    def accepts(self, process):
        self.assertIsNone(process.poll(), "the node ended")
        return not harness.port_is_free(SELF, self.plain_port)

    def end(self, process):
        if process.poll() is None:
            process.kill()
            process.wait()

    def call(self):
        with twin_client.Client((SELF, self.plain_port)) as client:
            client.negotiate()
            self.assertEqual(client.echo(b"hello"), b"hello")

    def assert_stops(self, process):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(15), 0)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="backslashreplace") as file:
            return file.read()


class CommandLines(OperatorCase):
    """What is wrong before anything runs."""

    def test_command_line__wrong__said_plainly(self):
        for name, (arguments, code, text) in COMMAND_LINES.items():
            with self.subTest(name):
                done = run(*arguments)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(text, done.stderr)
                self.assertEqual(done.stdout, "")

    def test_shards__impossible__said_with_their_place(self):
        for name, (value, text) in SHARDS.items():
            with self.subTest(name):
                plain_port, tls_port = harness.free_ports(2)
                path = self.file(config_text(plain_port, tls_port).replace("shards: 1", f"shards: {value}"))
                self.assert_refused(run("node", path), text)
                check = run("check", path)
                self.assertEqual(check.returncode, 1)
                self.assertIn(text, check.stdout + check.stderr)

    @unittest.skipIf(CPU_COUNT < 2, "there is one CPU only")
    def test_shards__on_a_cpu_outside_the_affinity__refused(self):
        other = max(os.sched_getaffinity(0))
        path = self.file(config_text(*harness.free_ports(2)).replace("shards: 1", f"shards: '{other}-{other}'"))
        self.assert_refused(run("node", path, preexec_fn=lambda: os.sched_setaffinity(0, [FIRST_CPU])), f"CPU {other}")

    def test_port__in_use_or_address_not_of_this_machine__said(self):
        process = self.start()
        self.assert_refused(run("node", os.path.join(self.folder, "weft.yaml")), str(self.plain_port))
        self.assert_stops(process)
        text = config_text(*harness.free_ports(2)).replace(f"listen_address: {SELF}", "listen_address: 192.0.2.77")
        self.assert_refused(run("node", self.file(text)), "192.0.2.77")

    def test_port__of_the_system__refused_to_users(self):
        if not nobody_can_run():
            self.skipTest("cannot run as another user")
        text = config_text(80, 81)
        done = run("node", self.file(text), user=NOBODY, group=NOBODY, extra_groups=[])
        self.assert_refused(done, f"{SELF}:80")


class Limits(OperatorCase):
    """What the system does not give."""

    def test_descriptors__hardly_any__a_plain_refusal_or_a_node(self):
        path = self.config()
        for few in (4, 16):
            done = run("node", path, preexec_fn=limit(resource.RLIMIT_NOFILE, few))
            self.assert_refused(done, f"{few} file descriptors (RLIMIT_NOFILE) do not do")
            self.assertRegex(done.stderr, r"\d+ open \+ \d+ spare \+ \d+ shards? x .* = \d+")

    @unittest.skipIf(is_sanitized(), "a sanitizer reserves terabytes")
    def test_address_space__too_small__said_with_what_would_do(self):
        done = run("node", self.config(), preexec_fn=limit(resource.RLIMIT_AS, 100 << 20))
        self.assert_refused(done, "lower memory_per_shard, or raise what the process may have (ulimit -v)")

    def test_descriptors__few__fewer_connections_and_said(self):
        process = self.start(preexec_fn=limit(resource.RLIMIT_NOFILE, 64))
        self.call()
        self.assert_stops(process)
        lines = [line for line in self.log().splitlines() if line.startswith("W ")]
        self.assertEqual(len(lines), 1, self.log())
        self.assertRegex(lines[0], r"W \d+ connections per shard instead of 4096: RLIMIT_NOFILE is 64")

    def crowded(self):
        """A node that is left 16 descriptors, all in use, its good client, and clients of whom most wait.

        On epoll: a ring's accept keeps the limit that it found when it was armed.
        """
        process = self.start(more="    backend: epoll\n")
        pulse = Pulse(self.plain_port, process.pid)
        self.addCleanup(pulse.close)
        # A shard that answers has made its table of sockets, which is as large as the limit is then.
        harness.wait_until(lambda: pulse.beat().count > 0, "the first call")
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (16, 4096))
        crowd = [self.opened(twin_client.Client((SELF, self.plain_port))) for _ in range(20)]
        for client in crowd:
            client.offer()
        harness.wait_until(lambda: os.strerror(errno.EMFILE) in self.log(), "all descriptors in use")
        return process, pulse, crowd

    def assert_undisturbed(self, pulse):
        """It is served as long as the others wait, and no slower; how often, is for the machine to say."""
        beats = []
        harness.wait_until(lambda: beats.append(pulse.beat()) or sum(beat.count for beat in beats) > 50, "50 calls")
        self.assertLess(max(beat.stall for beat in beats), STALL_MAX_US)

    def test_descriptors__used_up_then_some_are_closed__accepting_resumes(self):
        process, pulse, crowd = self.crowded()
        self.assert_undisturbed(pulse)
        for client in crowd:
            client.close()
        harness.wait_until(self.served, "a newcomer is served", 3)
        self.assert_undisturbed(pulse)
        self.assert_stops(process)

    def test_descriptors__used_up_then_the_limit_is_raised__accepting_resumes_within_a_second(self):
        process, pulse, crowd = self.crowded()
        self.assert_undisturbed(pulse)
        self.assertLess(self.answered(crowd), 16)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (4096, 4096))
        raised = time.monotonic()
        harness.wait_until(lambda: self.answered(crowd) == len(crowd), "all are served", 5)
        self.assertLess(time.monotonic() - raised, 1.0)
        self.assertEqual(self.log().count(os.strerror(errno.EMFILE)), 1, self.log())
        self.assert_undisturbed(pulse)
        self.assert_stops(process)

    def answered(self, clients):
        """How many of them have something to read; the end is no answer."""
        ready, _, _ = select.select([client.sock for client in clients], [], [], 0)
        return sum(len(sock.recv(1, socket.MSG_PEEK)) for sock in ready)

    def served(self):
        try:
            self.call()
        except (twin_client.Closed, OSError):
            return False
        return True

    def assert_serves_and_warns(self, pattern, least=1, more="", **how):
        """Calls are answered, whatever is missing, and one line says what was done instead."""
        process = self.start(more=more, **how)
        for _ in range(200):
            self.call()
        self.assert_stops(process)
        warnings = [line for line in self.log().splitlines() if line.startswith("W ")]
        self.assertLessEqual(len(warnings), 1, warnings)
        self.assertGreaterEqual(len(warnings), least, self.log())
        for line in warnings:
            self.assertRegex(line, pattern)
        return warnings

    def test_locked_memory__less_and_less__smaller_queues_or_epoll_and_said(self):
        if not nobody_can_run():
            self.skipTest("cannot run as another user")
        for kib, pattern in ((0, "^W using epoll: .*RLIMIT_MEMLOCK"),
                             (64, "^W (using epoll: |io_uring queues of [0-9]+ entries).*RLIMIT_MEMLOCK"),
                             (8192, "^W io_uring queues of [0-9]+ entries.*RLIMIT_MEMLOCK")):
            with self.subTest(kib=kib):
                self.assert_serves_and_warns(pattern, 1 if kib < 8192 else 0,
                                             preexec_fn=limit(resource.RLIMIT_MEMLOCK, kib * 1024),
                                             user=NOBODY, group=NOBODY, extra_groups=[])

    def test_memory__asked_to_keep_it__nobody_but_root_can_look(self):
        if not nobody_can_run():
            self.skipTest("cannot run as another user")
        owners = []
        for arguments in ([], ["--no-core"]):
            process = self.start(*arguments, user=NOBODY, group=NOBODY, extra_groups=[])
            self.call()
            # What a process may not be dumped for belongs to root.
            owners.append(os.stat(f"/proc/{process.pid}/mem").st_uid)
            self.assert_stops(process)
        self.assertEqual(owners, [NOBODY, 0])

    def test_locked_memory__less_than_zero_copy_wants__works_and_said(self):
        if not nobody_can_run():
            self.skipTest("cannot run as another user")
        self.assert_serves_and_warns("^W (memory for payloads is not registered|io_uring queues).*RLIMIT_MEMLOCK",
                                     more="    send_zerocopy: auto\n",
                                     preexec_fn=limit(resource.RLIMIT_MEMLOCK, 8192 * 1024),
                                     user=NOBODY, group=NOBODY, extra_groups=[])

    def assert_epoll_where_forbidden(self, **user):
        for error, pattern in ((errno.EPERM, "^W using epoll: .*io_uring is forbidden here"),
                               (errno.ENOSYS, "^W using epoll: .*this kernel has no io_uring")):
            with self.subTest(error=error):
                self.assert_serves_and_warns(pattern, preexec_fn=lambda error=error: forbid_io_uring(error), **user)

    def test_io_uring__forbidden_or_missing__epoll_and_said(self):
        self.assert_epoll_where_forbidden()

    def test_io_uring__forbidden_to_a_user_who_may_lock_nothing__epoll_and_said(self):
        if not nobody_can_run():
            self.skipTest("cannot run as another user")
        before = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_MEMLOCK, before)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, before[1]))
        self.assert_epoll_where_forbidden(user=NOBODY, group=NOBODY, extra_groups=[])


class Streams(OperatorCase):
    """Where the log and the results go."""

    def refuse_some(self, count):
        """Each makes the node write a warning."""
        for _ in range(count):
            with twin_client.Client((SELF, self.plain_port)) as client:
                with contextlib.suppress(ConnectionError):
                    client.send(b"GET / HTTP/1.1\r\n\r\n")
                client.read_to_end()

    def test_streams__all_closed__no_log_line_in_a_connection(self):
        process = self.start(preexec_fn=close_streams)
        for _ in range(5):
            self.refuse_some(3)
            self.call()
        self.assert_stops(process)

    def test_log__on_a_full_disk__costs_lines_only(self):
        process = self.start(stderr=self.opened(open("/dev/full", "wb")))
        self.refuse_some(10)
        self.call()
        self.assert_stops(process)

    def test_log__at_the_limit_of_a_file__costs_lines_only(self):
        process = self.start(preexec_fn=limit(resource.RLIMIT_FSIZE, 64))
        self.refuse_some(10)
        self.call()
        self.assertLessEqual(os.path.getsize(self.log_path), 64)
        self.assert_stops(process)

    def test_log__whose_reader_is_gone__costs_lines_only(self):
        reader, writer = os.pipe()
        process = self.start(stderr=writer)
        os.close(writer)
        os.close(reader)
        self.refuse_some(10)
        self.call()
        self.assert_stops(process)

    def test_log__in_a_full_pipe__no_stall_and_the_loss_is_told(self):
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        filled = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                filled += os.write(writer, bytes(4096))
        os.set_blocking(writer, True)
        process = self.start(stderr=writer)
        pulse = Pulse(self.plain_port, process.pid)
        self.addCleanup(pulse.close)
        harness.wait_until(lambda: pulse.beat().count > 0, "the first call")
        self.refuse_some(100)
        self.call()
        self.assertLess(pulse.beat().stall, STALL_MAX_US)
        os.close(writer)
        said = []
        drain = threading.Thread(target=lambda: said.extend(iter(lambda: os.read(reader, 4096), b"")))
        drain.start()
        harness.wait_until(lambda: sum(map(len, said)) >= filled, "what was in the pipe")
        self.refuse_some(1)
        self.assert_stops(process)
        drain.join()
        os.close(reader)
        self.assertRegex(b"".join(said).decode(), r"W \d+ log lines were lost")

    def test_result__that_cannot_be_written__no_success(self):
        path = self.config()
        with open("/dev/full", "wb") as full:
            for arguments in (["version"], ["--help"], ["node", "--help"], ["check", path], ["info"],
                              ["explain", "--help"], ["certs", "--help"], ["bench", "rpc", "--help"]):
                with self.subTest(arguments):
                    done = run(*arguments, stdout=full)
                    self.assertNotEqual(done.returncode, 0)
                    self.assertTrue(done.stderr)

    def test_result__with_nowhere_to_go__no_success(self):
        def close_stdout():
            os.close(1)

        for arguments in (["version"], ["--help"], ["check", self.config()], ["info"]):
            with self.subTest(arguments):
                done = run(*arguments, stdout=None, preexec_fn=close_stdout)
                self.assertNotEqual(done.returncode, 0)
                self.assertTrue(done.stderr)

    def test_result__whose_reader_is_gone__ends(self):
        for arguments in (["version"], ["--help"], ["check", self.config()], ["info"]):
            with self.subTest(arguments):
                reader, writer = os.pipe()
                os.close(reader)
                done = run(*arguments, stdout=writer)
                os.close(writer)
                self.assertNotEqual(done.returncode, 0)

    def test_status__in_no_folder__said_and_not_started(self):
        done = run("node", self.config(), "--status", "/nowhere/status.json")
        self.assert_refused(done, "/nowhere/status.json")

    def test_status__in_place_of_what_is_no_file__said_and_left(self):
        path = os.path.join(self.folder, "pipe")
        os.mkfifo(path)
        self.assert_refused(run("node", self.config(), "--status", path), "is not a regular file")
        self.assertTrue(stat.S_ISFIFO(os.stat(path).st_mode))
        link = os.path.join(self.folder, "link")
        os.symlink(path, link)
        self.assert_refused(run("node", self.config(), "--status", link), "is not a regular file")
        self.assertTrue(os.path.islink(link))


class Signals(OperatorCase):
    """Signals at any time."""

    def test_sighup_and_sigpipe__nothing_ends(self):
        process = self.start()
        with twin_client.Client((SELF, self.plain_port)) as client:
            client.negotiate()
            for reads, number in ((1, signal.SIGHUP), (1, signal.SIGPIPE), (2, signal.SIGHUP)):
                process.send_signal(number)
                self.assertEqual(client.echo(b"x"), b"x")
                # One that is pending is not sent twice.
                harness.wait_until(lambda: self.log().count("reload: reading") == reads, self.log)
        self.assert_stops(process)

    def test_kill__with_connections_and_started_again_at_once__gets_its_port(self):
        path = None
        for _ in range(5):
            process = self.start() if path is None else self.again(path)
            path = os.path.join(self.folder, "weft.yaml")
            clients = [self.opened(twin_client.Client((SELF, self.plain_port))) for _ in range(5)]
            for client in clients:
                client.negotiate()
                self.assertEqual(client.echo(b"x"), b"x")
            process.kill()
            process.wait()

    def again(self, path):
        with open(self.log_path, "wb") as log:
            process = subprocess.Popen([WEFT, "node", path], stdin=subprocess.DEVNULL, stderr=log)
        self.addCleanup(self.end, process)
        harness.wait_until(lambda: process.poll() is not None or "listening" in self.log(), self.log)
        self.assertIsNone(process.poll(), self.log())
        return process

    def test_sigterm__three_times_with_a_call_running__answered_and_exit_0(self):
        process = self.start()
        with twin_client.Client((SELF, self.plain_port)) as client:
            client.negotiate()
            slow = client.start(rpc.VERB_SLEEP, (500_000).to_bytes(8, "little"))
            self.assertEqual(client.echo(b"it runs"), b"it runs")
            for _ in range(3):
                process.send_signal(signal.SIGTERM)
            self.assertFalse(client.finish(slow).failed)
            self.assertEqual(client.read_to_end(), b"")
        self.assertEqual(process.wait(15), 0)

    def test_sigterm__while_it_reads_its_files_again__drains_and_exit_0(self):
        for delay_ms in (0, 1, 2, 5, 10, 20):
            with self.subTest(delay_ms):
                process = self.start()
                self.call()
                for _ in range(3):
                    process.send_signal(signal.SIGHUP)
                threading.Event().wait(delay_ms / 1000)
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGHUP)
                self.assertEqual(process.wait(15), 0, self.log())

    def test_sigterm__while_it_starts__ends_at_once(self):
        path = self.config()
        for delay_ms in (0, 1, 2, 3, 5, 8, 13, 21, 34):
            with self.subTest(delay_ms):
                process = subprocess.Popen([WEFT, "node", path], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                self.addCleanup(self.end, process)
                threading.Event().wait(delay_ms / 1000)
                process.send_signal(signal.SIGTERM)
                # Before it listens to signals it just dies, with nothing to clean up.
                self.assertIn(process.wait(10), (0, -signal.SIGTERM))


if __name__ == "__main__":
    unittest.main()
