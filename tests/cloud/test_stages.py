"""What samconfig.toml sets for each stage."""

import re
import tomllib
import unittest

from template import ROOT, source, stages

PLACEHOLDER = "fill-in"


def problem(name, value):
    """Returns why CloudFormation would refuse a value of a parameter; None if it takes it."""
    parameter = source()["Parameters"][name]
    if parameter["Type"] == "Number":
        number = float(value)
        if number < parameter.get("MinValue", number):
            return f"{name}: {value} is too small"
        if "AllowedValues" in parameter and number not in parameter["AllowedValues"]:
            return f"{name}: {value} is not allowed"
        return None
    if "AllowedValues" in parameter and value not in parameter["AllowedValues"]:
        return f"{name}: {value} is not allowed"
    # The pattern of a list holds for each of its values.
    values = value.split(",") if parameter["Type"] == "CommaDelimitedList" else [value]
    pattern = parameter.get("AllowedPattern", ".*")
    if not all(re.fullmatch(pattern, value) for value in values):
        return f"{name}: {value} does not match {pattern}"
    return None


class Stages(unittest.TestCase):
    def test_each_has_its_own_name_everywhere(self):
        config = tomllib.loads((ROOT / "samconfig.toml").read_text())
        self.assertEqual(set(stages()), {"default", "staging", "production"})
        for stage, values in stages().items():
            deploy = config[stage]["deploy"]["parameters"]
            self.assertEqual(deploy["stack_name"], f"tidings-{stage}")
            self.assertEqual(values["Secret"], f"tidings/{stage}")
            self.assertEqual(deploy["tags"], f"project=tidings stage={stage}")

    def test_placeholders_are_refused(self):
        for name in ("SecretVersion", "CorsOrigins", "AlarmTopic"):
            self.assertIsNotNone(problem(name, PLACEHOLDER), f"{name}={PLACEHOLDER} would be deployed")
        for stage, values in stages().items():
            for name, value in values.items():
                if value != PLACEHOLDER:
                    self.assertNotRegex(value, r"fill-?in|example\.com", f"{stage}: {name}")
                    self.assertIsNone(problem(name, value), stage)

    def test_values_of_an_account_are_taken(self):
        for name, value in {
            "SecretVersion": "EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE",
            "CorsOrigins": "https://chat.example.com,http://localhost:5173",
            "AlarmTopic": "arn:aws:sns:eu-central-1:123456789012:tidings-production",
        }.items():
            self.assertIsNone(problem(name, value))
        for origin in ("https://chat.example.com/", "chat.example.com", "https://a.example, https://b.example"):
            self.assertIsNotNone(problem("CorsOrigins", origin), origin)

    def test_defaults_are_taken(self):
        for name, parameter in source()["Parameters"].items():
            if "Default" in parameter:
                self.assertIsNone(problem(name, str(parameter["Default"])))


if __name__ == "__main__":
    unittest.main()
