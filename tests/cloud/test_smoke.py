"""The scripts that check and load a deployment from outside, run against the local stack."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
import unittest

from template import ROOT

BINARY = os.environ.get("TIDINGS_BINARY", str(ROOT / "target/debug/tidings"))
FUNCTIONS = os.environ.get("TIDINGS_FUNCTIONS", str(ROOT / "target/debug"))
# Names as long as those that CloudFormation makes.
TABLE = "tidings-production-Table-1ABCDEFGHIJKL"
FUNCTION = "tidings-production-{}-1a2b3c4d5e6F"


class Stack:
    """The local stack in memory, until the end of a `with` block."""

    def __init__(self, *flags, **variables):
        self.flags, self.variables = flags, variables

    def __enter__(self):
        self.process = subprocess.Popen(
            [BINARY, "--in-memory", "--port", "0", "--quiet", *self.flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **self.variables},
        )
        for line in self.process.stdout:
            if line.startswith("ready "):
                self.url = line.split()[1]
                return self
        raise AssertionError(self.process.stderr.read())

    def __exit__(self, *_):
        self.process.terminate()
        _, self.printed = self.process.communicate()


def run(script, *arguments):
    command = [sys.executable, "-B", str(ROOT / "infra" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


class Scripts(unittest.TestCase):
    def test_the_local_stack_passes_the_smoke_test(self):
        with Stack() as stack:
            done = run("smoke.py", stack.url)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("FAIL", done.stdout)

    def test_a_server_that_is_not_ours_does_not(self):
        class NotFound(http.server.BaseHTTPRequestHandler):
            do_GET = do_POST = do_OPTIONS = lambda self: self.send_error(404)
            log_message = lambda *_: None

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), NotFound)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = run("smoke.py", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        self.assertEqual(done.returncode, 1)
        self.assertGreater(done.stdout.count("FAIL"), 8, done.stdout)

    def test_the_local_stack_bears_a_load(self):
        with Stack() as stack:
            done = run("load.py", stack.url, "--users", "3", "--seconds", "7")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for call in ("send", "poll", "inbox", "open a socket", "send to push", "delete the account"):
            self.assertRegex(done.stdout, rf"(?m)^{call} +\d+ ")

    def test_a_load_is_bounded(self):
        self.assertEqual(run("load.py", "http://127.0.0.1:9", "--users", "1000", "--seconds", "1000").returncode, 2)


class Lines(unittest.TestCase):
    def test_they_are_as_long_as_the_costs_assume(self):
        with Stack("--functions-from", FUNCTIONS, TIDINGS_TABLE=TABLE, TIDINGS_METRICS="basic") as stack:
            done = run("smoke.py", stack.url)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lengths, sends = [], []
        for text in stack.printed.splitlines():
            line = json.loads(text) if text.startswith("{") else {}
            if not str(line.get("route", "")).startswith("/api/"):
                continue
            line["function"] = FUNCTION.format(re.sub(r"(?:^|-)(\w)", lambda m: m[1].upper(), line["function"]))
            # API Gateway's ids are shorter than ours, and Lambda traces each request.
            line["request_id"], line["trace_id"] = "JKJaXmPLvHcESHA=", "1-5bef4de7-ad49b0e87f6ef6c87fc2e700"
            # CloudWatch counts 26 bytes more for each line.
            length = len(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()) + 26
            (sends if "MessagesSent" in line else lengths).append(length)
        assumed = json.loads((ROOT / "infra/prices.json").read_text())["lambda"]
        mean = sum(lengths) / len(lengths)
        self.assertLess(abs(mean - assumed["log_bytes"]), 60, mean)
        mean = sum(sends) / len(sends)
        self.assertLess(abs(mean - assumed["log_bytes"] - assumed["send_log_bytes"]), 60, mean)


if __name__ == "__main__":
    unittest.main()
