"""The template as CloudFormation gets it: translated by SAM's own translator."""

import json
import os
import re
import tomllib
from functools import cache
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
# The indexes of the release before, which the guide replaces.
FORMER_INDEXES = """\
      GlobalSecondaryIndexes:
        - IndexName: activity
          KeySchema:
            - { AttributeName: pk, KeyType: HASH }
            - { AttributeName: activity, KeyType: RANGE }
          Projection:
            ProjectionType: INCLUDE
            NonKeyAttributes:
              [peer, name, picture, admin, people, head, last_id, last_text, last_mine, n, read, cleared]
        - IndexName: unread
          KeySchema:
            - { AttributeName: pk, KeyType: HASH }
            - { AttributeName: unread, KeyType: RANGE }
          Projection:
            ProjectionType: INCLUDE
            NonKeyAttributes: [n]
"""


def text():
    """Returns the text of the template."""
    return (ROOT / "infra/template.yaml").read_text()


def former(text):
    """Returns the text of a template with the indexes of the release before."""
    return re.sub(r"^ {6}GlobalSecondaryIndexes:\n(?:^ {8}.*\n)+", FORMER_INDEXES, text, flags=re.MULTILINE)


@cache
def source():
    """Returns the template as it is written."""
    return yaml_parse(text())


@cache
def translated():
    """Returns the template with SAM's resources replaced by those of CloudFormation."""
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    os.environ["AWS_DEFAULT_REGION"] = REGION
    template = yaml_parse(text())
    # A function's code is where `sam package` puts it.
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    defaults = {name: parameter.get("Default", "") for name, parameter in template["Parameters"].items()}
    return Translator({}, Parser()).translate(template, defaults)


def resources(kind):
    """Returns the translated resources of a type, by name."""
    return {name: found for name, found in translated()["Resources"].items() if found["Type"] == kind}


@cache
def stages():
    """Returns the parameters that each stage of samconfig.toml sets, by stage."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return {
        stage: dict(value.split("=", 1) for value in commands["deploy"]["parameters"]["parameter_overrides"])
        for stage, commands in config.items()
        if stage != "version" and "deploy" in commands
    }


@cache
def permissions(kind):
    """Returns the actions that CloudFormation itself declares to call for a type of resource, by operation."""
    import cfnlint.data.schemas

    folder = Path(cfnlint.data.schemas.__file__).parent
    name = json.loads((folder / f"providers/{REGION}.json").read_text())[kind]
    handlers = json.loads((folder / f"resources/{name}.json").read_text())["handlers"]
    return {operation: set(handler["permissions"]) for operation, handler in handlers.items() if operation != "list"}


def blocks(path):
    """Returns the shell commands of a document, one text per block."""
    text = (ROOT / path).read_text()
    found = re.findall(r"^( *)```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return ["".join(line.removeprefix(indent) for line in block.splitlines(True)) for indent, block in found]
