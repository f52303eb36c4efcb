"""The local storage for files, called by AWS's own SDK for Python, and our signatures, computed a second time."""

import base64
import hashlib
import hmac
import json
import socket
import sys
import unittest
import urllib.parse

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import template
from test_smoke import Stack

sys.path.insert(0, str(template.ROOT / "infra"))
import client  # noqa: E402

BUCKET = "tidings-files"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Storage(unittest.TestCase):
    def setUp(self):
        port = free_port()
        self.stack = self.enterContext(Stack("--storage-port", str(port), **KEYS))
        self.url = f"http://127.0.0.1:{port}"
        self.s3 = self.sdk(KEYS["AWS_SECRET_ACCESS_KEY"])

    def sdk(self, secret):
        path_style = Config(
            s3={"addressing_style": "path"}, signature_version="s3v4", retries={"max_attempts": 1},
            request_checksum_calculation="when_required", response_checksum_validation="when_required",
        )
        return boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=secret, config=path_style,
        )

    def refused(self, status, call, **arguments):
        with self.assertRaises(ClientError) as caught:
            call(Bucket=BUCKET, **arguments)
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], status)

    def test_the_sdk_writes_reads_copies_and_deletes(self):
        s3, key = self.s3, "up/one"
        etag = s3.put_object(Bucket=BUCKET, Key=key, Body=b"0123456789", ContentType="text/plain")["ETag"]
        self.refused(412, s3.put_object, Key=key, Body=b"other", IfNoneMatch="*")
        self.refused(412, s3.put_object, Key=key, Body=b"other", IfMatch='"another"')
        found = s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=2-4")
        self.assertEqual((found["Body"].read(), found["ContentRange"]), (b"234", "bytes 2-4/10"))
        head = s3.head_object(Bucket=BUCKET, Key=key)
        self.assertEqual((head["ContentLength"], head["ContentType"], head["ETag"]), (10, "text/plain", etag))
        source = {"Bucket": BUCKET, "Key": key}
        self.refused(412, s3.copy_object, Key="f/two", CopySource=source, CopySourceIfMatch='"another"')
        copied = s3.copy_object(
            Bucket=BUCKET, Key="f/two", CopySource=source, CopySourceIfMatch=etag, MetadataDirective="REPLACE",
            ContentType="image/png", ContentDisposition="inline", CacheControl="private",
        )
        head = s3.head_object(Bucket=BUCKET, Key="f/two")
        self.assertEqual(head["ETag"], copied["CopyObjectResult"]["ETag"])
        self.assertEqual(
            (head["ContentType"], head["ContentDisposition"], head["CacheControl"]), ("image/png", "inline", "private")
        )
        s3.copy_object(Bucket=BUCKET, Key="d/two", CopySource={"Bucket": BUCKET, "Key": "f/two"})
        self.assertEqual(s3.head_object(Bucket=BUCKET, Key="d/two")["ContentType"], "image/png")
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"new", IfMatch=etag)
        for _ in range(2):
            s3.delete_object(Bucket=BUCKET, Key=key)
        self.refused(404, s3.head_object, Key=key)
        self.refused(404, s3.get_object, Key=key)
        self.refused(404, s3.copy_object, Key="f/three", CopySource=source)
        self.assertEqual(s3.get_object(Bucket=BUCKET, Key="f/two")["Body"].read(), b"0123456789")

    def test_the_sdk_lists_a_folder_in_order(self):
        names = [f"c/{n}" for n in "bca"]
        for key in names:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"{}")
        def listed(**arguments):
            found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="c/", **arguments)
            return [item["Key"] for item in found.get("Contents", [])]
        self.assertEqual(listed(), sorted(names))
        self.assertEqual(listed(StartAfter="c/a", MaxKeys=1), ["c/b"])
        self.assertEqual(listed(StartAfter="c/c"), [])
        self.refused(403, self.sdk("another secret").list_objects_v2, Prefix="c/")
        for key in names:
            self.s3.delete_object(Bucket=BUCKET, Key=key)

    def test_other_keys_are_refused(self):
        other = self.sdk("another secret")
        for call, more in ((other.get_object, {}), (other.put_object, {"Body": b"x"}), (other.delete_object, {})):
            self.refused(403, call, Key="up/one", **more)

    def test_links_of_the_sdk_are_taken(self):
        self.s3.put_object(Bucket=BUCKET, Key="f/one", Body=b"contents")
        link = self.s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "f/one"}, ExpiresIn=60)
        self.assertEqual(client.fetch("GET", link).body, b"contents")
        self.assertEqual(client.fetch("GET", link.replace("f/one", "f/two")).status, 403)

    def test_forms_of_the_sdk_are_taken(self):
        form = self.s3.generate_presigned_post(
            BUCKET, "up/form", Fields={"Content-Type": "image/png"}, ExpiresIn=60,
            Conditions=[["eq", "$Content-Type", "image/png"], ["content-length-range", 3, 3]],
        )
        self.assertEqual(client.post_form(form, b"four").status, 400)
        self.assertEqual(client.post_form(form, b"abc").status, 204)
        found = self.s3.get_object(Bucket=BUCKET, Key="up/form")
        self.assertEqual((found["Body"].read(), found["ContentType"]), (b"abc", "image/png"))

    def test_our_forms_and_links_are_signed_as_the_sdk_does_it(self):
        anyone = client.Api(self.stack.url)
        account = {"username": "alice", "email": "alice@example.com", "password": "correct horse battery"}
        alice = anyone.call("POST", "/api/auth/register", account).data["id"]
        login = {"username": "alice", "password": account["password"]}
        tokens = anyone.call("POST", "/api/auth/login", login).data
        api = client.Api(self.stack.url, tokens["access_token"])
        new = {"file_name": "a.txt", "content_type": "text/plain", "size": 3}
        asked = api.call("POST", "/api/attachments", new).data
        form = asked["upload"]["fields"]

        def mac(key, text):
            return hmac.new(key, text.encode(), hashlib.sha256).digest()

        key = b"AWS4" + KEYS["AWS_SECRET_ACCESS_KEY"].encode()
        for part in form["x-amz-credential"].split("/")[1:]:
            key = mac(key, part)
        self.assertEqual(form["x-amz-signature"], mac(key, form["policy"]).hex())
        policy = json.loads(base64.b64decode(form["policy"]))
        self.assertIn(["content-length-range", 3, 3], policy["conditions"])
        for name in ("key", "Content-Type", "x-amz-meta-owner"):
            self.assertIn(["eq", f"${name}", form[name]], policy["conditions"])
        self.assertEqual(form["x-amz-meta-owner"], alice)

        self.assertEqual(client.post_form(asked["upload"], b"abc").status, 204)
        group = api.call("POST", "/api/conversations", {"type": "group", "name": "g", "participant_ids": []}).data
        attachments = [{"attachment_id": asked["attachment_id"]}]
        message = {"conversation_id": group["conversation_id"], "attachments": attachments}
        url = api.call("POST", "/api/messages/send", message).data["attachments"][0]["url"]
        location = urllib.parse.urlsplit(client.fetch("GET", url).headers["location"])
        ours = dict(urllib.parse.parse_qsl(location.query))
        signature = ours.pop("X-Amz-Signature")
        query = "&".join(f"{name}={urllib.parse.quote(ours[name], safe='-_.~')}" for name in sorted(ours))
        lines = ["GET", location.path, query, f"host:{location.netloc}", "", "host", "UNSIGNED-PAYLOAD"]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        scope = ours["X-Amz-Credential"].split("/", 1)[1]
        text = "\n".join(["AWS4-HMAC-SHA256", ours["X-Amz-Date"], scope, digest])
        self.assertEqual(signature, mac(key, text).hex())


if __name__ == "__main__":
    unittest.main()
