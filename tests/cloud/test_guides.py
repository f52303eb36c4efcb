"""The commands of docs/deploy.md and docs/operations.md, typed from the first line to the last."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from standin_server import DIED
from template import ROOT, stages
from test_smoke import Stack

GUIDES = ("docs/deploy.md", "docs/operations.md")
SERVER = ROOT / "tests/cloud/standin_server.py"
STANDINS = ("aws", "sam", "sleep", "git", "npm", "docker")
# Commands within a sentence. Those of a block come with it.
INLINE = re.compile(r"`((?:aws|sam|make|docker|npm|infra/set) [^`]*)`")


def commands(path):
    """Returns the commands of a guide in their order: each block, and each command within a sentence."""
    text = (ROOT / path).read_text()
    parts = re.split(r"^( *)```sh\n(.*?)^ *```$", text, flags=re.MULTILINE | re.DOTALL)
    for index in range(0, len(parts), 3):
        for command in INLINE.findall(parts[index]):
            command = " ".join(command.split())
            # `sam deploy` alone names a command, it is none to be typed. So does what only has an option.
            if len(command.split()) > 2 or "&&" in command:
                yield command
        if index + 2 < len(parts):
            indent, block = parts[index + 1], parts[index + 2]
            yield "".join(line.removeprefix(indent) for line in block.splitlines(True))


class Shell:
    """A folder with a copy of the project, and stand-ins for the commands that would reach AWS."""

    def __init__(self, standins, folder, url):
        self.project = Path(folder, "project")
        ignored = shutil.ignore_patterns(".git", ".venv", "target", "node_modules", ".aws-sam", "dist", "__pycache__")
        shutil.copytree(ROOT, self.project, ignore=ignored)
        # The guide begins with a file that nobody has configured.
        for stage in stages():
            reset = [str(ROOT / "infra/set"), stage, "SecretVersion=fill-in", "DeletionProtection=false"]
            subprocess.run([sys.executable, *reset], cwd=self.project, check=True)
        binaries = Path(folder, "bin")
        binaries.mkdir()
        for name in STANDINS:
            file = binaries / name
            file.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{SERVER}" "{standins}" {name} "$@"\n')
            file.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TIDINGS_"))}
        self.environment = {
            **kept,
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "HOME": folder,
            "STANDIN_STATE": str(Path(folder, "state.json")),
            "STANDIN_URL": url,
            "STANDIN_SOCKET_URL": url.replace("http", "ws") + "/ws",
        }

    def run(self, script):
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.project, env=self.environment, capture_output=True, text=True,
        )


class Guides(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        command = [sys.executable, "-B", SERVER]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(server.stdout.close)
        cls.addClassCleanup(server.wait)
        cls.addClassCleanup(server.stdin.close)
        cls.standins = next(line for line in server.stdout if line.startswith("ready ")).split()[1]

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_the_commands_work_as_typed(self):
        typed = [command for path in GUIDES for command in commands(path)]
        self.assertGreater(len(typed), 25)
        with Stack(TIDINGS_CORS_ORIGINS="https://chat.example.com", TIDINGS_RATE_LIMITS="off") as stack:
            done = Shell(self.standins, self.folder, stack.url).run("\n".join(typed))
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        self.assertIn("Hello, Bob.", done.stdout)
        self.assertEqual(re.findall("^FAIL.*", done.stdout, re.MULTILINE), [])

    def test_the_other_stages_can_be_deployed(self):
        typed = list(commands("docs/deploy.md"))
        deploy = next(at for at, command in enumerate(typed) if command.startswith("sam build && sam deploy"))
        # The other test deploys production.
        for stage in ("default", "staging"):
            with tempfile.TemporaryDirectory() as folder:
                steps = [command.replace("STAGE=production", f"STAGE={stage}") for command in typed[: deploy + 1]]
                done = Shell(self.standins, folder, "http://127.0.0.1:9").run("\n".join(steps))
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_wrong_command_fails(self):
        shell = Shell(self.standins, self.folder, "http://127.0.0.1:9")
        region = "export AWS_REGION=eu-central-1 AWS_DEFAULT_REGION=eu-central-1\n"
        self.assertEqual(shell.run(region + "aws sns create-topic --name a").returncode, 0)
        configure = "infra/set default SecretVersion=EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE DeletionProtection=false"
        restore = "aws dynamodb restore-table-to-point-in-time --source-table-name a --target-table-name new\n"
        for wrong in (
            "aws sns create-topics --name a",
            "aws sns create-topic --names a",
            "aws sns create-topic",
            "aws sns create-topic --name a --query Arn",
            "aws nothing list",
            "aws logs filter-log-events --log-group-name a --query 'events[].message' --filter-pattern "
            "'{ $.fields.message = \"a conversation is not up to date\" }'",
            "aws dynamodb wait table-exist --table-name a",
            "aws dynamodb update-table --table-name a --deletion-protection-enabled true",
            "aws dynamodb update-time-to-live --table-name a --time-to-live-specification Enable=true",
            "aws iam create-policy --policy-name a --policy-document file://missing.json",
            f"{restore} aws dynamodb wait table-exists --table-name new",
            f"{restore} aws dynamodb update-table --table-name new --deletion-protection-enabled",
            "sam build --config-env staging",
            "sam build && sam deploy",
            "sam build && sam deploy --config-env staging",
            "sam build && sam deploy --config-env dev",
            "infra/set default SecretVersion=EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE && sam deploy",
            "infra/set default DeletionProtection=true && sam build && sam deploy",
            "sam deploy --configenv default",
            "infra/set default Nothing=1",
            "infra/set nowhere Hs256=on",
        ):
            self.assertNotIn(shell.run(f"{region} rm -rf .aws-sam\n {wrong}").returncode, (0, DIED), wrong)
        right = f"{configure} && sam build && sam deploy"
        self.assertEqual(shell.run(region + right).returncode, 0)
        # The SAM CLI reads only the other variable.
        self.assertIn("No region", shell.run("export AWS_REGION=eu-central-1\n" + right).stderr)
        replaces_both_indexes = f"git worktree add ../deployed {'0' * 40} && sam deploy"
        self.assertIn("more than one GSI", shell.run(region + replaces_both_indexes).stderr)


if __name__ == "__main__":
    unittest.main()
