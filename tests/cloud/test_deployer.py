"""The policies of whoever deploys allow what CloudFormation needs for the template's resources, and no more.

CloudFormation's schemas, which cfn-lint brings, name the permissions that each type of resource needs, for all of its
properties. Those of properties that the template does not use are listed here.
"""

import json
import unittest
from fnmatch import fnmatchcase

import template

# What the schemas name for properties that the template does not set.
UNUSED = {
    "AWS::DynamoDB::Table": {
        # Global tables, imports, Kinesis, contributor insights, resource policies, and keys of one's own.
        *("dynamodb:" + name for name in (
            "AssociateTableReplica BatchWriteItem CreateTableReplica DeleteItem DeleteResourcePolicy DescribeImport "
            "DisableKinesisStreamingDestination EnableKinesisStreamingDestination GetItem ImportTable PutItem "
            "PutResourcePolicy Query Scan UpdateContributorInsights UpdateItem UpdateKinesisStreamingDestination"
        ).split()),
        "iam:CreateServiceLinkedRole",
        "kinesis:*",
        "kms:*",
        "logs:*",
        "s3:*",
    },
    "AWS::Logs::LogGroup": {
        "firehose:*", "logs:AssociateKmsKey", "logs:DisassociateKmsKey", "logs:DeleteDataProtectionPolicy",
        "logs:DeleteIndexPolicy", "logs:DeleteResourcePolicy", "logs:PutBearerTokenAuthentication",
        "logs:PutDataProtectionPolicy", "logs:PutIndexPolicy", "logs:PutLogGroupDeletionProtection", "s3:*",
    },
    "AWS::IAM::ManagedPolicy": {"iam:*GroupPolicy", "iam:*UserPolicy"},
    "AWS::IAM::Role": {"iam:*PermissionsBoundary"},
    "AWS::ApiGatewayV2::Api": {"s3:*"},
    "AWS::ApiGatewayV2::Authorizer": {"iam:PassRole"},
    "AWS::ApiGatewayV2::Integration": {"iam:PassRole"},
    "AWS::ApiGatewayV2::DomainName": {"s3:*"},
    "AWS::Lambda::Function": {
        # Networks, file systems, keys of one's own, layers, code signing, reserved and provisioned concurrency.
        "ec2:*", "elasticfilesystem:*", "kms:*", "s3files:*", "lambda:AssociateRuntimeAlias",
        "lambda:DeleteFunctionCodeSigningConfig", "lambda:GetCodeSigningConfig", "lambda:GetLayerVersion",
        "lambda:*FunctionConcurrency",
        "lambda:PassCapacityProvider", "lambda:PublishVersion", "lambda:PutFunctionCodeSigningConfig",
        "lambda:PutFunctionRecursionConfig",
        "lambda:PutFunctionScalingConfig", "lambda:PutRuntimeManagementConfig",
    },
    "AWS::Lambda::EventSourceMapping": {"kms:*"},
    "AWS::S3::Bucket": {
        # Lists, tables of metadata, locks, logs, notifications, replicas and websites. Objects are the functions' own.
        "s3:*Object", "s3:*ObjectAcl", "s3:PutObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration", "s3tables:*",
        "s3:CreateBucketMetadata*", "s3:DeleteBucketMetadata*", "s3:UpdateBucketMetadata*", "s3:*BucketWebsite",
        "s3:PutAccelerateConfiguration", "s3:*AnalyticsConfiguration", "s3:DeleteBucketAnalyticsConfiguration",
        "s3:PutBucketAbac", "s3:PutBucketAcl", "s3:PutBucketLogging", "s3:PutBucketNotification",
        "s3:*BucketReplication", "s3:PutReplicationConfiguration", "s3:PutIntelligentTieringConfiguration",
        "s3:PutInventoryConfiguration", "s3:PutMetricsConfiguration", "s3:DeleteBucketMetricsConfiguration",
        "s3:DeleteBucketCors", "s3:DeleteBucketEncryption", "s3:DeleteBucketLifecycle", "kms:*", "iam:PassRole",
    },
    "AWS::CloudFront::Distribution": {
        "cloudfront:*ConnectionGroup", "cloudfront:GetVpcOrigin", "cloudfront:UpdateDistributionWithStagingConfig",
    },
}
# What `sam deploy`, custom names and access logs need beside the resources' own handlers.
OTHER = {
    "cloudformation:*", "s3:*", "secretsmanager:GetSecretValue", "iam:TagPolicy", "iam:UntagPolicy",
    "lambda:GetFunctionConfiguration", "lambda:ListTags", "apigateway:TagResource", "apigateway:UntagResource",
    "logs:*LogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy",
}


def matches(action, patterns):
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


class Policy(unittest.TestCase):
    def setUp(self):
        names = ("deployer-policy.json", "deployer-policy-files.json")
        self.policies = [json.loads((template.ROOT / "infra" / name).read_text()) for name in names]
        self.statements = [statement for policy in self.policies for statement in policy["Statement"]]
        self.allowed = {action for statement in self.statements for action in statement["Action"]}

    def needed(self):
        kinds = {resource["Type"] for resource in template.translated()["Resources"].values()}
        for kind in sorted(kinds):
            for action in sorted(set().union(*template.permissions(kind).values())):
                if not matches(action, UNUSED.get(kind, ())):
                    yield kind, action

    def test_it_covers_every_type_of_resource(self):
        missing = [f"{kind}: {action}" for kind, action in self.needed() if not matches(action, self.allowed)]
        self.assertEqual(missing, [])

    def test_it_allows_nothing_else(self):
        needed = {action.lower() for _, action in self.needed()}
        more = [action for action in self.allowed if action.lower() not in needed and not matches(action, OTHER)]
        self.assertEqual(more, [])

    def test_it_is_for_our_resources_alone(self):
        for statement in self.statements:
            self.assertFalse([action for action in statement["Action"] if "*" in action], statement["Sid"])
            on = statement["Resource"]
            for arn in [on] if isinstance(on, str) else on:
                if arn == "*":
                    # These actions know no resources.
                    self.assertIn(statement["Sid"], {"HostedZones", "DeliveryOfAccessLogs"})

    def test_each_fits_into_a_managed_policy(self):
        for policy in self.policies:
            self.assertLessEqual(len("".join(json.dumps(policy).split())), 6144)

    def test_roles_are_passed_to_lambda_alone(self):
        (passes,) = (s for s in self.statements if "iam:PassRole" in s["Action"])
        self.assertEqual(passes["Action"], ["iam:PassRole"])
        self.assertEqual(passes["Condition"], {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}})


if __name__ == "__main__":
    unittest.main()
