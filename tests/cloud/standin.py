"""Stands in for the commands of the guides: checks their arguments, and plays the part of AWS.

`aws` is checked against the models of AWS's own SDK: service, operation, options, and the form of their values. `sam`
is checked against the SAM CLI's own options. Time passes only while the guide sleeps or waits.
"""

import fnmatch
import json
import os
import re
import shutil
import sys
import tomllib
from importlib import import_module
from pathlib import Path

GLOBAL = {"query", "output", "region", "profile", "cli-binary-format"}
# Options that the AWS CLI names otherwise than AWS's API does.
RENAMED = {("sns", "subscribe", "endpoint"): "notification-endpoint"}
# DynamoDB: "the restoration takes at least 20 minutes".
RESTORE_SECONDS = 20 * 60
UPDATE_SECONDS = 60
# The SAM CLI's modules by command.
SAM_COMMANDS = {
    "build": "samcli.commands.build.command",
    "deploy": "samcli.commands.deploy.command",
    "delete": "samcli.commands.delete.command",
    "validate": "samcli.commands.validate.validate",
}
ACCOUNT = "123456789012"


class Refused(Exception):
    """What the real command would say."""


def state():
    start = {"clock": 0, "tables": {}, "stacks": [], "indexes": {}, "filled": 0, "protected": False, "tags": []}
    file = Path(os.environ["STANDIN_STATE"])
    return json.loads(file.read_text()) if file.exists() else start


def save(now):
    Path(os.environ["STANDIN_STATE"]).write_text(json.dumps(now))


def region():
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


# -- aws ---------------------------------------------------------------------------------------------------------------


def shorthand(text, shape):
    """Parses the AWS CLI's shorthand for structures, such as `A=1,B={C=2}`."""

    def structure(at, of):
        found = {}
        while True:
            match = re.compile(r"([A-Za-z]+)=").match(text, at)
            if match is None:
                raise Refused(f"{text!r} is neither JSON nor shorthand at {text[at:]!r}")
            if match[1] not in of.members:
                raise Refused(f"{match[1]} is none of {sorted(of.members)}")
            member, at = of.members[match[1]], match.end()
            if text[at : at + 1] == "{":
                found[match[1]], at = structure(at + 1, member)
                at += 1
            else:
                value = re.compile(r"[^,}]*").match(text, at)
                found[match[1]], at = scalar(value[0], member), value.end()
            if text[at : at + 1] != ",":
                return found, at
            at += 1

    found, at = structure(0, shape)
    if at != len(text):
        raise Refused(f"{text!r} does not end at {text[at:]!r}")
    return found


def scalar(text, shape):
    kind = shape.type_name
    if kind == "boolean":
        return text == "true"
    if kind in ("integer", "long"):
        return int(text)
    if kind in ("double", "float"):
        return float(text)
    if getattr(shape, "enum", None) and text not in shape.enum:
        raise Refused(f"{text} is none of {shape.enum}")
    return text


def parsed(values, shape):
    """Converts the values of an option as the AWS CLI does."""
    if len(values) == 1 and values[0].startswith("file://"):
        path = Path(values[0].removeprefix("file://"))
        if not path.is_file():
            raise Refused(f"there is no file {path}")
        values = [path.read_text()]
    kind = shape.type_name
    if kind in ("structure", "list", "map") and len(values) == 1 and values[0].lstrip().startswith(("{", "[")):
        return json.loads(values[0])
    if kind == "structure" and len(values) == 1:
        return shorthand(values[0], shape)
    if kind == "list":
        member = shape.member
        return [shorthand(v, member) if member.type_name == "structure" else scalar(v, member) for v in values]
    if len(values) != 1:
        raise Refused(f"{len(values)} values instead of one: {values}")
    if kind == "blob":
        return values[0].encode()
    return scalar(values[0], shape)


def aws(arguments):
    import botocore.session
    from botocore import xform_name
    from botocore.validate import ParamValidator

    if region() is None:
        raise Refused("You must specify a region")
    service, operation, *rest = arguments
    if service == "s3":
        return s3(operation, rest)
    session = botocore.session.get_session()
    if service not in session.get_available_services():
        raise Refused(f"there is no service {service}")
    model = session.get_service_model(service)
    if operation == "wait":
        waiter, *rest = rest
        waiters = session.get_waiter_model(service)
        names = {xform_name(name, "-"): name for name in waiters.waiter_names}
        if waiter not in names:
            raise Refused(f"there is no waiter {waiter}, but {sorted(names)}")
        waiter = waiters.get_waiter(names[waiter])
        operation = xform_name(waiter.operation, "-")
    else:
        waiter = None
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in names:
        raise Refused(f"{service} has no operation {operation}")
    shape = model.operation_model(names[operation]).input_shape
    members = {}
    for name, member in (shape.members if shape else {}).items():
        option = xform_name(name, "-")
        members[RENAMED.get((service, operation, option), option)] = (name, member)
    given, options, positional = {}, {}, []
    while rest:
        option, *rest = rest
        if not option.startswith("--"):
            positional.append(option)
            continue
        name = option.removeprefix("--")
        values = []
        while rest and not rest[0].startswith("--"):
            values, rest = [*values, rest[0]], rest[1:]
        if name in GLOBAL:
            (options[name],) = values
        elif name in members and members[name][1].type_name == "boolean":
            if values:
                raise Refused(f"{option} takes no value")
            given[members[name][0]] = True
        elif name in members:
            if not values or "" in values:
                raise Refused(f"{option} needs a value")
            if (service, operation) == ("lambda", "invoke") and len(values) == 2:
                values, positional = values[:1], [*positional, values[1]]
            given[members[name][0]] = parsed(values, members[name][1])
        else:
            raise Refused(f"{service} {operation} has no option {option}, but {sorted(members)}")
    if (service, operation) == ("lambda", "invoke"):
        (file,) = positional
        Path(file).write_text('{"batchItemFailures": []}')
    elif positional:
        raise Refused(f"unknown arguments: {positional}")
    if shape:
        report = ParamValidator().validate(given, shape)
        if report.has_errors():
            raise Refused(report.generate_report())
    now = state()
    if waiter:
        wait(now, service, waiter, given)
        answer = None
    else:
        answer = effect(now, service, operation, given)
    save(now)
    if answer is not None and "query" in options:
        import jmespath

        answer = jmespath.search(options["query"], answer)
        if answer in (None, [], ""):
            raise Refused(f"the query {options['query']} finds nothing")
    if answer is not None:
        text = options.get("output") == "text" and not isinstance(answer, dict)
        print("\t".join(answer) if text and isinstance(answer, list) else answer if text else json.dumps(answer))


def s3(operation, rest):
    if operation == "rb":
        if len(rest) != 2 or rest[1] != "--force" or not re.fullmatch(r"s3://[A-Za-z0-9.-]+", rest[0]):
            raise Refused(f"unknown arguments: s3 {operation} {rest}")
        return
    if operation != "sync" or len(rest) < 2 or set(rest[2:]) - {"--delete"}:
        raise Refused(f"unknown arguments: s3 {operation} {rest}")
    if not Path(rest[0], "index.html").is_file():
        raise Refused(f"{rest[0]} has no page")
    if not re.fullmatch(r"s3://[a-z0-9.-]+", rest[1]):
        raise Refused(f"{rest[1]} is no bucket")


def ready(now, table):
    return now["tables"][table] <= now["clock"]


def wait(now, service, waiter, given):
    if service == "dynamodb":
        ends = now["tables"].get(given["TableName"], 0)
        if ends > now["clock"] + waiter.delay * waiter.max_attempts:
            raise Refused("Waiter TableExists failed: Max attempts exceeded")
        now["clock"] = max(now["clock"], ends)


def effect(now, service, operation, given):
    """Returns the answer to a call, and changes the state as it would change AWS."""
    name = given.get("TableName")
    if service == "dynamodb":
        if operation == "restore-table-to-point-in-time":
            now["tables"][given["TargetTableName"]] = now["clock"] + RESTORE_SECONDS
        elif operation == "describe-table":
            status = "ACTIVE" if name not in now["tables"] or ready(now, name) else "CREATING"
            arn = f"arn:aws:dynamodb:{region()}:{ACCOUNT}:table/{name}"
            index = {"IndexStatus": "ACTIVE" if now["filled"] <= now["clock"] else "CREATING"}
            return {"Table": {
                "TableName": name, "TableStatus": status, "TableArn": arn, "GlobalSecondaryIndexes": [index]}}
        elif name in now["tables"] and not ready(now, name):
            raise Refused(f"ResourceInUseException: Table {name} is not active")
        elif operation == "update-table":
            now["tables"][name] = now["clock"] + UPDATE_SECONDS
        elif operation == "delete-table" and now["protected"]:
            raise Refused("ValidationException: Resource cannot be deleted as it is currently protected")
        return {}
    if service == "cloudformation" and operation == "create-change-set" and given["ChangeSetType"] == "IMPORT":
        imported(given)
        now["stacks"].append(given["StackName"])
    if (service, operation) == ("logs", "filter-log-events"):
        return {"events": [{"message": line} for line in logged(given["filterPattern"])]}
    if (service, operation) == ("cloudformation", "describe-stacks"):
        return {"Stacks": [{"Outputs": outputs(given["StackName"])}]}
    answers = {
        ("secretsmanager", "create-secret"): {"VersionId": "EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE"},
        ("secretsmanager", "put-secret-value"): {"VersionId": "EXAMPLE2-90ab-cdef-fedc-ba987EXAMPLE"},
        ("sns", "create-topic"): {"TopicArn": f"arn:aws:sns:{region()}:{ACCOUNT}:{given.get('Name')}"},
        ("sts", "get-caller-identity"): {"Account": ACCOUNT},
        ("lambda", "get-account-settings"): {"AccountLimit": {"ConcurrentExecutions": 10}},
        ("iam", "create-role"): {"Role": {"Arn": f"arn:aws:iam::{ACCOUNT}:role/{given.get('RoleName')}"}},
    }
    if service == "secretsmanager" and "SecretString" in given:
        json.loads(given["SecretString"])
    if service == "iam" and "AssumeRolePolicyDocument" in given:
        json.loads(given["AssumeRolePolicyDocument"])
    return answers.get((service, operation), {})


def logged(pattern):
    """Returns the lines that match, of a log with one line as `shared/observe/src/log.rs` formats it."""
    text = "a conversation is not up to date"
    if f'"{text}"' not in Path("functions/fan-out/src/lib.rs").read_text():
        raise Refused(f"no function logs {text!r}")
    line = {"level": "ERROR", "message": text, "code": "unavailable", "conversation": "one"}
    match = re.fullmatch(r'\{ \$\.(\S+) = "(.*)" \}', pattern)
    if match is None:
        raise Refused(f"the pattern {pattern} is not understood here")
    return [json.dumps(line)] if line.get(match[1]) == match[2] else []


def outputs(stack):
    known = {"Url": os.environ["STANDIN_URL"], "SocketUrl": os.environ["STANDIN_SOCKET_URL"]}
    names = re.findall(r"^  (\w+):$", Path("infra/template.yaml").read_text().split("\nOutputs:\n")[1], re.MULTILINE)
    return [{"OutputKey": name, "OutputValue": known.get(name, f"{stack}-{name}")} for name in names]


def imported(given):
    """Checks the template of an import: one resource, which depends on nothing that is not there."""
    from samtranslator.yaml_helper import yaml_parse

    text = given["TemplateBody"]
    found = yaml_parse(text)
    if list(found) != ["Resources"] or list(found["Resources"]) != ["Table"]:
        raise Refused(f"the template to import has {list(found)}")
    for tag in re.findall(r"!\w+", text):
        raise Refused(f"the template to import refers to what it does not have: {tag}")
    # An import that fails must not take the table with it.
    if found["Resources"]["Table"].get("DeletionPolicy") != "Retain":
        raise Refused("Resources to import must have a DeletionPolicy")


# -- sam ---------------------------------------------------------------------------------------------------------------


def sam(arguments):
    command, *rest = arguments
    params = import_module(SAM_COMMANDS[command]).cli.params
    options = {name: param for param in params for name in [*param.opts, *param.secondary_opts]}
    given = {}
    while rest:
        option, *rest = rest
        if option not in options:
            raise Refused(f"sam {command} has no option {option}")
        if options[option].is_flag:
            given[option] = True
        else:
            given[option], *rest = rest
    config = tomllib.loads(Path("samconfig.toml").read_text())
    stage = given.get("--config-env", "default")
    section = config.get(stage, {}).get(command, {}).get("parameters", {})
    if command == "build":
        template = given.get("--template-file") or section.get("template_file", "template.yaml")
        if not Path(template).is_file():
            raise Refused(f"Template file not found at {template}")
        Path(".aws-sam/build").mkdir(parents=True, exist_ok=True)
        Path(".aws-sam/build/template.yaml").write_text(Path(template).read_text())
        return
    if command == "validate":
        return
    # The SAM CLI's own words.
    if not (given.get("--region") or section.get("region") or os.environ.get("AWS_DEFAULT_REGION")):
        raise Refused("No region information found. Please provide --region parameter or configure default region")
    if command == "delete":
        if not given.get("--no-prompts"):
            raise Refused("it would ask")
        return
    stack = given.get("--stack-name") or section.get("stack_name")
    if not stack:
        raise Refused("Missing option '--stack-name'")
    if not Path(".aws-sam/build/template.yaml").is_file():
        raise Refused("there is no build")
    if not section.get("resolve_s3"):
        raise Refused("Missing option '--s3-bucket'")
    import test_stages

    values = dict(value.split("=", 1) for value in section["parameter_overrides"])
    for name, value in values.items():
        if problem := test_stages.problem(name, value):
            raise Refused(f"CloudFormation: {problem}")
    now = state()
    now["protected"] = values.get("DeletionProtection") == "true"
    if now["protected"] and stack not in now["stacks"]:
        raise Refused("if this fails, the table stays behind")
    now["stacks"].append(stack)
    change_indexes(now, stack)
    save(now)


def indexes(text):
    """Returns the names of the table's indexes in a template."""
    from samtranslator.yaml_helper import yaml_parse

    table = yaml_parse(text)["Resources"]["Table"]["Properties"]
    return [index["IndexName"] for index in table["GlobalSecondaryIndexes"]]


def change_indexes(now, stack):
    """Refuses what CloudFormation refuses: an update of more than one index, or while one is being changed."""
    wanted = indexes(Path(".aws-sam/build/template.yaml").read_text())
    changed = set(wanted) ^ set(now["indexes"].get(stack, wanted))
    if len(changed) > 1:
        raise Refused("Cannot perform more than one GSI creation or deletion in a single update")
    if changed:
        if now["filled"] > now["clock"]:
            raise Refused("ResourceInUseException: an index is being created or deleted")
        now["filled"] = now["clock"] + UPDATE_SECONDS
    now["indexes"][stack] = wanted


# -- the others --------------------------------------------------------------------------------------------------------


def sleep(arguments):
    (seconds,) = arguments
    now = state()
    now["clock"] += int(seconds)
    save(now)


def git(arguments):
    if arguments[:2] == ["tag", "--list"]:
        print("\n".join(sorted(fnmatch.filter(state()["tags"], arguments[2]))))
    elif arguments[0] == "tag":
        (name,) = arguments[1:]
        now = state()
        if name in now["tags"]:
            raise Refused(f"tag '{name}' already exists")
        now["tags"].append(name)
        save(now)
    elif arguments[:2] == ["worktree", "add"]:
        import template

        _, _, folder, _ = arguments
        shutil.copytree(".", folder)
        file = Path(folder, "infra/template.yaml")
        file.write_text(template.former(file.read_text()))
        # The release of this folder is the one that is deployed.
        now = state()
        now["indexes"] = dict.fromkeys(now["stacks"], indexes(file.read_text()))
        save(now)
    elif arguments[:2] == ["worktree", "remove"]:
        shutil.rmtree(arguments[-1])
    elif arguments[:2] != ["switch", "--detach"] or arguments[2:] not in [[tag] for tag in state()["tags"]]:
        raise Refused(f"unknown arguments: {arguments}")


def npm(arguments):
    prefix, folder, *command = arguments
    if prefix != "--prefix" or not Path(folder, "package.json").is_file():
        raise Refused(f"unknown arguments: {arguments}")
    if command == ["ci"]:
        return
    if command[0] != "run" or command[1] not in json.loads(Path(folder, "package.json").read_text())["scripts"]:
        raise Refused(f"there is no script {command}")
    Path(folder, "dist").mkdir(exist_ok=True)
    Path(folder, "dist/index.html").write_text("")


def docker(arguments):
    known = {"build": {"--tag": 1}, "run": {"--publish": 1, "--volume": 1, "--env": 1}}
    command, *rest = arguments
    while rest and rest[0].startswith("-"):
        option, *rest = rest
        rest = rest[known[command][option] :]
    if len(rest) != 1 or (command == "build" and not Path(rest[0], "Dockerfile").is_file()):
        raise Refused(f"unknown arguments: {arguments}")


def preload():
    """Imports what the commands need."""
    for module in ("botocore.session", "botocore.validate", "test_stages", *SAM_COMMANDS.values()):
        import_module(module)


def main(arguments):
    """Runs a command. Returns why it was refused; None if it was not."""
    command, *arguments = arguments
    try:
        {"aws": aws, "sam": sam, "sleep": sleep, "git": git, "npm": npm, "docker": docker}[command](arguments)
    except Exception as error:
        return f"{command} {' '.join(arguments)}: {type(error).__name__}: {error}"
    return None
