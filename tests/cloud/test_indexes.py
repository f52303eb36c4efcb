"""Replacing the table's indexes: locally at the start, and in AWS by the steps of docs/operations.md."""

import re
import subprocess
import sys
import tempfile
import unittest
import uuid
from pathlib import Path

import template
from samtranslator.yaml_helper import yaml_parse
from test_guides import commands
from test_moto import OnMoto, User

# A conversation as the release before has stored it: Alice has sent Bob two messages, and he has read the first one.
CONVERSATION = "dOrKcdkHHTfJfOvYSJtY_JuES"
ONE, TWO = "-P7OlB-dR-D5DQLXGB-vW-", "-P7OlB-iR-9WR-5Eg1ojKF"
ROW = {"sk": f"C#{CONVERSATION}", "activity": TWO, "head": TWO, "last_id": TWO, "last_text": "two", "name_version": 1}
MESSAGE = {"pk": f"C#{CONVERSATION}", "sender": "alice", "recipient": "bob", "touched": 0, "version": 1}
ITEMS = [
    {**MESSAGE, "sk": f"M#{ONE}", "content": {"text": "one"}},
    {**MESSAGE, "sk": f"M#{TWO}", "content": {"text": "two"}},
    {"pk": MESSAGE["pk"], "sk": "R#1#", "at": 1795728654385},
    {**ROW, "pk": "U#alice", "peer": "bob", "name": "Bob", "last_mine": True, "peer_read": ONE},
    {**ROW, "pk": "U#bob", "peer": "alice", "name": "Alice", "last_mine": False, "read": ONE, "n": 1, "unread": "U"},
    *({"pk": f"U#{user}", "sk": "TOTALS", "rows": 1} for user in ("alice", "bob")),
    *(
        {"pk": f"U#{user}", "sk": "PROFILE", "name": user.capitalize(), "version": 1, "created_at": 1795728654370}
        for user in ("alice", "bob")
    ),
]


def indexes(text):
    """Returns the indexes in a template, and the template without them."""
    parsed = yaml_parse(text)
    found = parsed["Resources"]["Table"]["Properties"].pop("GlobalSecondaryIndexes")
    return {index["IndexName"]: index for index in found}, parsed


class Local(OnMoto):
    def setUp(self):
        # The server starts when the table is there.
        pass

    def test_an_old_table_gets_the_new_indexes(self):
        import boto3

        database = boto3.resource(
            "dynamodb", endpoint_url=self.moto.url, region_name="us-east-1",
            aws_access_key_id="local", aws_secret_access_key="local",
        )
        properties = template.source()["Resources"]["Table"]["Properties"]
        table = database.create_table(
            TableName=f"tidings-{uuid.uuid4().hex}", BillingMode="PAY_PER_REQUEST",
            GlobalSecondaryIndexes=yaml_parse(template.FORMER_INDEXES)["GlobalSecondaryIndexes"],
            **{name: properties[name] for name in ("AttributeDefinitions", "KeySchema")},
        )
        for item in ITEMS:
            table.put_item(Item=item)
        for _ in range(2):
            with self.stack(table.name) as stack:
                self.url = stack.url
                self.check()
            table.reload()
            names = [index["IndexName"] for index in table.global_secondary_indexes]
            self.assertEqual(names, [index["IndexName"] for index in properties["GlobalSecondaryIndexes"]])
            self.assertTrue(table.stream_specification["StreamEnabled"])

    def check(self):
        """Checks the conversation, and leaves it as it was."""
        alice, bob = User(self, self.url, "alice"), User(self, self.url, "bob")
        (rows, total), unread = bob.inbox(), bob.unread()
        self.assertEqual((rows[0]["other_user_name"], rows[0]["last_message"], total), ("Alice", "two", 1))
        self.assertEqual((rows[0]["unread_count"], unread), (1, [1, 1, 1, 1]))
        self.assertEqual(bob.page("alice"), ["one", "two"])
        sent = alice.send("bob", "three")
        self.assertEqual((bob.unread()[0], bob.inbox()[0][0]["last_message"]), (2, "three"))
        bob.set(CONVERSATION, pinned=True)
        self.assertTrue(bob.inbox()[0][0]["pinned_at"])
        bob.set(CONVERSATION, pinned=False)
        alice.delete(f"/api/messages/{sent['id']}?scope=me")
        bob.delete(f"/api/messages/{sent['id']}?scope=me")


class InAws(unittest.TestCase):
    def steps(self, folder):
        """Returns the templates that the guide deploys, from the one of the release before to ours."""
        new, old = Path(folder, "new"), Path(folder, "old")
        for release, text in ((new, template.text()), (old, template.former(template.text()))):
            (release / "infra").mkdir(parents=True)
            (release / "infra/template.yaml").write_text(text)
        (guide,) = (command for command in commands("docs/operations.md") if "infra/indexes" in command)
        texts, release = [(old / "infra/template.yaml").read_text()], new
        for line in guide.splitlines():
            if match := re.match(r"cd \$(OLD|NEW)$", line):
                release = {"OLD": old, "NEW": new}[match[1]]
            elif match := re.match(r"step \$(OLD|NEW)/infra/template.yaml (.+)", line):
                other = {"OLD": old, "NEW": new}[match[1]] / "infra/template.yaml"
                script = [sys.executable, "-B", template.ROOT / "infra/indexes", other, *match[2].split()]
                texts.append(subprocess.run(script, cwd=release, check=True, capture_output=True, text=True).stdout)
        return [*texts, template.text()]

    def test_each_step_changes_one_index_and_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            texts = self.steps(folder)
            # The template with the most indexes; `make lint` checks ours.
            file = Path(folder, "step.yaml")
            file.write_text(max(texts, key=len))
            lint = [Path(sys.executable).parent / "cfn-lint", "--regions", template.REGION, "--template", file]
            done = subprocess.run(lint, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        names = []
        for before, after in zip(texts, texts[1:]):
            (old, others), (new, others_after) = indexes(before), indexes(after)
            self.assertEqual(others, others_after)
            self.assertTrue(all(old[name] == new[name] for name in old.keys() & new.keys()))
            names.append(old.keys() ^ new.keys())
        # The third one changes the functions.
        self.assertEqual(names, [{"inbox"}, {"counts"}, set(), {"activity"}, {"unread"}])

    def test_what_is_there_or_missing_is_refused(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(template.former(template.text()))
            file.flush()
            for name, status in (("activity", 0), ("inbox", 1), ("nothing", 1)):
                script = [sys.executable, "-B", "infra/indexes", file.name, name]
                done = subprocess.run(script, cwd=template.ROOT, capture_output=True)
                self.assertEqual(done.returncode, status, name)


if __name__ == "__main__":
    unittest.main()
