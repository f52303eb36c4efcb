"""What the template says once SAM has translated it."""

import json
import re
import unittest

import template
from template import resources, source


class Routes(unittest.TestCase):
    def routes(self):
        paths = resources("AWS::ApiGatewayV2::Api")["Api"]["Properties"]["Body"]["paths"]
        return {(method, path) for path, methods in paths.items() for method in methods}

    def test_preflights_match_no_route(self):
        # API Gateway answers a preflight itself only if no route takes OPTIONS, and `$default` takes every method.
        for method, path in self.routes():
            self.assertIn(method, {"get", "post", "put", "patch", "delete"}, path)
            self.assertNotEqual(path, "/$default")

    def test_unknown_routes_reach_a_function(self):
        unknown = {method for method, path in self.routes() if path == "/{proxy+}"}
        self.assertEqual(unknown, {"get", "post", "put", "patch", "delete"})
        # `{proxy+}` stands for at least one segment.
        self.assertIn(("get", "/"), self.routes())


class FirstDeployment(unittest.TestCase):
    def test_a_failed_one_leaves_nothing(self):
        for name, resource in template.translated()["Resources"].items():
            policy = resource.get("DeletionPolicy", "Delete")
            self.assertIn(policy, {"Delete", "RetainExceptOnCreate"}, name)
        # A protected table could not be deleted when the stack rolls back.
        self.assertEqual(source()["Parameters"]["DeletionProtection"]["Default"], "false")

    def test_the_table_stays_when_the_stack_goes(self):
        table = resources("AWS::DynamoDB::Table")["Table"]
        self.assertEqual(table["DeletionPolicy"], "RetainExceptOnCreate")
        self.assertEqual(table["UpdateReplacePolicy"], "Retain")


class Functions(unittest.TestCase):
    def test_what_is_built_is_what_runs(self):
        # `sam build` knows no parameters of `sam deploy`, so the architecture cannot be one.
        for name, function in resources("AWS::Lambda::Function").items():
            self.assertEqual(function["Properties"]["Architectures"], ["arm64"], name)

    def test_few_lanes_share_a_lively_room(self):
        # Lambda keeps the changes of one item in order, and each message is an item: a room is in all lanes at once.
        mappings = resources("AWS::Lambda::EventSourceMapping").values()
        lanes = sorted(mapping["Properties"].get("ParallelizationFactor", 1) for mapping in mappings)
        # In several lanes, messages of one conversation would be several notifications.
        self.assertEqual(lanes, [1, 2])

    def test_no_text_replaces_a_policy(self):
        for name, policy in resources("AWS::IAM::ManagedPolicy").items():
            self.assertNotIn("Description", policy["Properties"], name)


class Costs(unittest.TestCase):
    """What an idle deployment costs: infra/prices.json has the same numbers."""

    def setUp(self):
        self.idle = json.loads((template.ROOT / "infra/prices.json").read_text())["idle"]

    def metrics(self, condition):
        """Returns the number of metrics of each alarm with a condition."""
        alarms = resources("AWS::CloudWatch::Alarm")
        return {
            name: sum("MetricStat" in metric for metric in alarm["Properties"].get("Metrics", [])) or 1
            for name, alarm in alarms.items()
            if alarm["Condition"] == condition
        }

    def test_alarms_are_counted(self):
        basic, more = self.metrics("Alarms"), self.metrics("AllAlarms")
        self.assertEqual(len(basic) + len(more), len(resources("AWS::CloudWatch::Alarm")))
        self.assertEqual(sum(basic.values()), self.idle["basic"]["alarm_metrics"], basic)
        self.assertEqual(sum(basic.values()) + sum(more.values()), self.idle["full"]["alarm_metrics"], more)

    def test_the_dashboard_is_counted(self):
        (dashboard,) = resources("AWS::CloudWatch::Dashboard").values()
        self.assertEqual(dashboard["Condition"], "MonitorsAll")
        self.assertEqual((self.idle["basic"]["dashboards"], self.idle["full"]["dashboards"]), (0, 1))

    def test_basic_monitoring_is_the_default(self):
        self.assertEqual(source()["Parameters"]["Monitoring"]["Default"], "basic")

    def test_nothing_is_encrypted_with_a_key_that_costs_money(self):
        text = (template.ROOT / "infra/template.yaml").read_text()
        self.assertNotIn("SSEEnabled", text)
        self.assertNotRegex(text, r"(?i)kms")

    def test_the_readme_states_an_idle_month(self):
        price = json.loads((template.ROOT / "infra/prices.json").read_text())["prices"]
        secret = self.idle["basic"]["secrets"] * price["secret_month"]["usd"]
        alarms = self.idle["basic"]["alarm_metrics"] * price["alarm_metric_month"]["usd"]
        readme = " ".join((template.ROOT / "README.md").read_text().split())
        self.assertIn(f"${secret:.2f} a month for the secret and, if you use them, ${alarms:.2f} for alarms", readme)

    def test_memory_is_what_is_billed(self):
        sheet = json.loads((template.ROOT / "infra/prices.json").read_text())["lambda"]
        for name, function in resources("AWS::Lambda::Function").items():
            whole = name in ("Auth", "FanOut")
            memory = sheet["processor_memory_mb"] if whole else sheet["memory_mb"]
            self.assertEqual(function["Properties"]["MemorySize"], memory, name)

    def test_the_guide_states_the_alarms(self):
        guide = (template.ROOT / "docs/operations.md").read_text()
        price = json.loads((template.ROOT / "infra/prices.json").read_text())["prices"]
        for level, alarms in (("basic", self.metrics("Alarms")), ("full", resources("AWS::CloudWatch::Alarm"))):
            count = self.idle[level]["alarm_metrics"]
            dollars = count * price["alarm_metric_month"]["usd"]
            self.assertIn(f"`{level}`: {len(alarms)} alarms over {count} metrics, ${dollars:.2f} a month", guide)


class Alarms(unittest.TestCase):
    def test_the_guide_says_when_each_alarm_goes_off(self):
        guide = (template.ROOT / "docs/operations.md").read_text()
        for name, alarm in resources("AWS::CloudWatch::Alarm").items():
            properties = alarm["Properties"]
            period = properties.get("Period") or next(
                metric["MetricStat"]["Period"] for metric in properties["Metrics"] if "MetricStat" in metric
            )
            periods = properties["EvaluationPeriods"]
            needed = properties.get("DatapointsToAlarm", periods)
            row = re.search(rf"^\| [^|]*`{name}`[^|]*\|.*$", guide, re.MULTILINE)[0]
            minutes = period // 60
            if needed < periods and needed > 1:
                self.assertIn(f"in {needed} of {periods * minutes} minutes", row, name)
            elif needed == 1 and periods > 1:
                self.assertIn(f"once within {periods * minutes} minutes", row, name)
            elif periods > 1:
                self.assertIn(f"in each of {periods} periods of {minutes} minutes", row, name)


if __name__ == "__main__":
    unittest.main()
