"""The main paths of Tidings on moto, a DynamoDB that others have written.

All other tests use one engine, so they would not notice an expression that only this engine understands as we do.

Left out, because moto differs from DynamoDB there:

- Calls that race. moto runs transactions without isolating them, knows no conflicts, and ignores the tokens that make
  a repeated transaction take effect once. So each test makes one call after the other.
- Throttling, indexes that lag behind the table, and stale reads, which moto does not have.
- Expiry: moto accepts the time to live, and never deletes an item.
- Capacity units: moto reports a constant, so no cost is checked.
"""

import base64
import hmac
import json
import sys
import time
import unittest
import uuid

from moto_server import Moto
from template import ROOT
from test_smoke import Stack, run

sys.path.append(str(ROOT / "infra"))

from client import Api, Socket, socket_url  # noqa: E402

SECRET = "a secret of the tests, long enough"
# Participants from which on a function delivers changes of a conversation.
LARGE = 25
# Seconds after which Tidings counts a database call as lost.
ATTEMPT = 1.5
# Seconds after which what takes time must have happened.
PATIENCE = 60


def token(user):
    """Signs an access token (JWT, HS256)."""

    def encoded(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    claims = {"sub": user, "name": user.capitalize(), "exp": int(time.time()) + 3600}
    signed = b".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (signed + b"." + encoded(hmac.digest(SECRET.encode(), signed, "sha256"))).decode()


class User(Api):
    """A user who calls the API. Each call states the status that it expects.

    On a busy machine moto may be slower than Tidings waits for it: such calls are repeated, as clients do.
    """

    def __init__(self, test, url, name=None):
        super().__init__(url, name and token(name))
        self.test, self.id = test, name
        if name:
            self.get("/api/users/me")

    def ask(self, method, path, body=None, status=200):
        answer, end = self.timed(method, path, body), time.monotonic() + PATIENCE
        while answer.status == 503 and answer.seconds > ATTEMPT and time.monotonic() < end:
            answer = self.timed(method, path, body)
        self.test.assertEqual(answer.status, status, f"{method} {path}: {answer.body}")
        return answer.json

    def timed(self, method, path, body):
        began = time.monotonic()
        answer = self.call(method, path, body)
        answer.seconds = time.monotonic() - began
        return answer

    def get(self, path, status=200):
        return self.ask("GET", path, None, status).get("data")

    def post(self, path, body, status=200):
        return self.ask("POST", path, body, status).get("data")

    def put(self, path, body=None, status=200):
        return self.ask("PUT", path, body, status).get("data")

    def patch(self, path, body, status=200):
        return self.ask("PATCH", path, body, status).get("data")

    def delete(self, path, body=None, status=200):
        return self.ask("DELETE", path, body, status).get("data")

    def send(self, to, text, status=201):
        body = {"recipient_id": to, "message_text": text, "client_message_id": uuid.uuid4().hex}
        return self.post("/api/messages/send", body, status)

    def say(self, conversation, text, status=201):
        body = {"conversation_id": conversation, "message_text": text, "client_message_id": text}
        return self.post("/api/messages/send", body, status)

    def set(self, conversation, status=200, **settings):
        return self.patch(f"/api/conversations/{conversation}/me", settings, status)

    def inbox(self, query=""):
        """Returns the rows of the inbox, and their total."""
        answer = self.ask("GET", f"/api/messages/inbox{query}")
        return answer["data"], answer["total"]

    def names(self, query=""):
        return [row["other_user_name"] for row in self.inbox(query)[0]]

    def unread(self):
        """Returns the unread messages and conversations, and those of them that are neither muted nor archived."""
        count = self.get("/api/messages/unread-count")
        fields = ("unread_count", "conversations", "unmuted_unread_count", "unmuted_conversations")
        return [count[field] for field in fields]

    def page(self, other, query=""):
        query = f"?mark_read=false{query}"
        return [message["message_text"] for message in self.get(f"/api/messages/conversation/{other}{query}")]

    def pages(self, path):
        """Returns the pages of a list, which each cursor continues."""
        pages, cursor = [], ""
        while cursor is not None:
            answer = self.ask("GET", f"{path}{cursor}")
            pages.append(answer["data"])
            cursor = answer["next_cursor"] and f"&cursor={answer['next_cursor']}"
        return pages


class OnMoto(unittest.TestCase):
    """Each test has its own table."""

    @classmethod
    def setUpClass(cls):
        cls.moto = cls.enterClassContext(Moto())

    def stack(self, table):
        return Stack(
            AWS_ENDPOINT_URL_DYNAMODB=self.moto.url, TIDINGS_TABLE=table, TIDINGS_JWT_SECRET=SECRET,
            TIDINGS_RATE_LIMITS=self.rate_limits,
        )

    rate_limits = "on"

    def setUp(self):
        self.url = self.enterContext(self.stack(f"tidings-{uuid.uuid4().hex}")).url

    def users(self, *names):
        return [User(self, self.url, name) for name in names]

    def until(self, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, "this takes too long")
            time.sleep(0.1)

    def socket(self, user):
        socket = Socket(socket_url(self.url), f"?token={user.token}")
        self.addCleanup(socket.stream.close)
        return socket


class Accounts(OnMoto):
    def test_the_smoke_test_passes(self):
        done = run("smoke.py", self.url)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_an_account_from_registration_to_deletion(self):
        anyone = User(self, self.url)
        account = {"username": "Alice", "email": "alice@example.com", "password": "a long password"}
        alice = anyone.post("/api/auth/register", account, 201)
        anyone.post("/api/auth/register", {**account, "email": "other@example.com"}, 409)
        anyone.post("/api/auth/register", {**account, "username": "other"}, 409)
        first = anyone.post("/api/auth/login", {"email": "alice@example.com", "password": "a long password"})
        anyone.post("/api/auth/login", {"username": "alice", "password": "a wrong password"}, 401)
        second = anyone.post("/api/auth/refresh", {"refresh_token": first["refresh_token"]})
        third = anyone.post("/api/auth/refresh", {"refresh_token": second["refresh_token"]})
        # The first token was used before its successor was: the session ends.
        anyone.post("/api/auth/refresh", {"refresh_token": first["refresh_token"]}, 401)
        anyone.post("/api/auth/refresh", {"refresh_token": third["refresh_token"]}, 401)

        user = User(self, self.url)
        user.token = third["access_token"]
        self.assertEqual(user.get("/api/users/me")["id"], alice["id"])
        user.patch("/api/users/me", {"full_name": "Alice Adams"})
        (bob,) = self.users("bob")
        for words in ("ali", "adam"):
            self.assertEqual([found["id"] for found in bob.get(f"/api/users?q={words}")], [alice["id"]])
        passwords = {"current_password": "a long password", "new_password": "a longer password"}
        user.post("/api/auth/change-password", passwords)
        session = anyone.post("/api/auth/login", {"username": "alice", "password": "a longer password"})
        anyone.post("/api/auth/logout", {"refresh_token": session["refresh_token"]})
        anyone.post("/api/auth/refresh", {"refresh_token": session["refresh_token"]}, 401)
        user.delete("/api/users/me", {"password": "a longer password"})
        anyone.post("/api/auth/login", {"username": "alice", "password": "a longer password"}, 401)
        anyone.post("/api/auth/register", account, 201)


class Messages(OnMoto):
    def test_sending_and_reading(self):
        alice, bob, carol = self.users("alice", "bob", "carol")
        first = {"recipient_id": "bob", "message_text": "one", "client_message_id": "first"}
        sent = alice.post("/api/messages/send", first, 201)
        again = alice.post("/api/messages/send", first, 200)
        self.assertEqual(again["id"], sent["id"])
        two = alice.send("bob", "two")
        three = alice.post("/api/messages/send", {"recipient_id": "bob", "message_text": "three"}, 201)
        carol.send("bob", "hello")
        self.assertEqual(bob.names(), ["Carol", "Alice"])
        self.assertEqual([rows[0]["last_message"] for rows in bob.pages("/api/messages/inbox?limit=1")],
                         ["hello", "three"])
        row = bob.inbox()[0][1]
        self.assertEqual((row["last_message"], row["unread_count"], bob.inbox()[1]), ("three", 3, 2))
        self.assertEqual(bob.unread(), [4, 2, 4, 2])
        self.assertEqual(bob.page("alice"), ["one", "two", "three"])
        path = f"/api/conversations/{sent['conversation_id']}/messages?limit=2"
        self.assertEqual([[message["message_text"] for message in page] for page in bob.pages(path)],
                         [["two", "three"], ["one"]])

        self.assertEqual(bob.put(f"/api/messages/mark-as-read/{two['id']}")["unread_count"], 1)
        self.assertEqual(bob.unread(), [2, 2, 2, 2])
        page = alice.get("/api/messages/conversation/bob")
        self.assertEqual([message["read"] for message in page], [True, True, False])
        (receipt,) = alice.get(f"/api/messages/{two['id']}/receipts")
        self.assertEqual(receipt["user_id"], "bob")
        bob.put(f"/api/conversations/{sent['conversation_id']}/read")
        bob.get("/api/messages/conversation/carol")
        self.assertEqual(bob.unread(), [0, 0, 0, 0])
        self.assertEqual(bob.put(f"/api/messages/mark-as-unread/{two['id']}")["unread_count"], 2)
        self.assertTrue(bob.inbox()[0][1]["marked_unread"])
        self.assertTrue(alice.get(f"/api/messages/{three['id']}/receipts"), "the ticks stay")

    def test_editing_deleting_and_searching(self):
        alice, bob = self.users("alice", "bob")
        sent = [alice.send("bob", f"message {n} of many") for n in range(4)]
        edited = alice.patch(f"/api/messages/{sent[3]['id']}", {"message_text": "something else"})
        self.assertEqual((edited["is_edited"], edited["version"]), (True, 2))
        self.assertEqual(bob.inbox()[0][0]["last_message"], "something else")
        self.assertEqual([hit["message_text"] for hit in bob.get("/api/messages/search?q=else")], ["something else"])
        self.assertEqual(len(bob.get("/api/messages/search?q=%22of%20many%22")), 3)
        bob.patch(f"/api/messages/{sent[0]['id']}", {"message_text": "not mine"}, 403)

        alice.delete(f"/api/messages/{sent[3]['id']}")
        alice.delete(f"/api/messages/{sent[0]['id']}")
        self.assertEqual((bob.inbox()[0][0]["last_message_kind"], bob.unread()[0]), ("deleted", 2))
        bob.delete(f"/api/messages/{sent[1]['id']}?scope=me")
        self.assertEqual(bob.page("alice"), ["", "message 2 of many", ""])
        self.assertEqual(alice.page("bob"), ["", "message 1 of many", "message 2 of many", ""])
        self.assertEqual(bob.unread()[0], 1)
        bob.delete(f"/api/messages/conversation/{sent[0]['conversation_id']}")
        self.assertEqual((bob.inbox(), bob.unread()[0]), (([], 0), 0))
        alice.send("bob", "back")
        self.assertEqual((bob.page("alice"), bob.inbox()[1], bob.unread()[0]), (["back"], 1, 1))

    def test_settings(self):
        alice, *others = self.users("alice", "bob", "carol", "dave")
        bob, carol, dave = [other.send("alice", "hello")["conversation_id"] for other in others]
        self.assertEqual(alice.set(bob, muted_until="always")["muted_until"], "always")
        self.assertEqual(alice.unread(), [3, 3, 2, 2])
        self.assertTrue(alice.set(carol, pinned=True)["pinned_at"])
        self.assertEqual(alice.names(), ["Carol", "Dave", "Bob"])
        others[2].send("alice", "again")
        self.assertEqual(alice.names(), ["Carol", "Dave", "Bob"])
        alice.set(dave, archived=True)
        self.assertEqual((alice.names(), alice.names("?archived=true")), (["Carol", "Bob"], ["Dave"]))
        self.assertEqual((alice.inbox()[1], alice.inbox("?archived=true")[1]), (2, 1))
        others[2].send("alice", "and again")
        self.assertEqual((alice.names(), alice.names("?archived=true")), (["Carol", "Dave", "Bob"], []))
        alice.set(bob, archived=True)
        others[0].send("alice", "stays in the archive")
        self.assertEqual(alice.names("?archived=true"), ["Bob"])
        alice.set(bob, archived=False, muted_until=None)
        alice.set(carol, pinned=False)
        self.assertEqual(alice.names(), ["Bob", "Dave", "Carol"])
        self.assertEqual(alice.names("?type=direct&limit=2"), ["Bob", "Dave"])
        self.assertEqual(alice.unread(), [6, 3, 6, 3])

    def test_blocking(self):
        alice, bob = self.users("alice", "bob")
        alice.send("bob", "hello")
        bob.post("/api/messages/block-user", {"blocked_user_id": "alice"})
        for user, other in ((alice, "bob"), (bob, "alice")):
            user.send(other, "hello?", 403)
        self.assertEqual(len(bob.get("/api/messages/blocked-users")), 1)
        bob.delete("/api/messages/block-user/alice")
        self.assertEqual(bob.get("/api/messages/blocked-users"), [])
        alice.send("bob", "hello again")
        self.assertEqual(bob.page("alice"), ["hello", "hello again"])


class Groups(OnMoto):
    def test_a_group_with_its_roles(self):
        alice, bob, carol, dave = self.users("alice", "bob", "carol", "dave")
        group = {"type": "group", "name": "Trip", "participant_ids": ["bob", "carol"], "client_conversation_id": "trip"}
        trip = alice.post("/api/conversations", group, 201)["conversation_id"]
        self.assertEqual(alice.post("/api/conversations", group, 200)["conversation_id"], trip)
        path = f"/api/conversations/{trip}"
        alice.say(trip, "where to?")
        alice.say(trip, "where to?", 200)
        bob.say(trip, "the sea")
        self.assertEqual((carol.names(), carol.unread()), (["Trip"], [2, 1, 2, 1]))
        carol.put(f"{path}/read")
        self.assertEqual([row["read_count"] for row in alice.get(f"{path}/messages")], [1, 1])

        bob.post(f"{path}/participants", {"user_ids": ["dave"]}, 403)
        alice.patch(f"{path}/participants/bob", {"is_admin": True})
        bob.post(f"{path}/participants", {"user_ids": ["dave"]})
        self.assertEqual(dave.get(f"{path}/messages"), [])
        bob.patch(path, {"name": "Trip to the sea", "description": "in May"})
        self.assertEqual(dave.names(), ["Trip to the sea"])
        bob.delete(f"{path}/participants/carol")
        carol.say(trip, "still here?", 403)
        alice.delete(f"{path}/participants/alice")
        people = bob.get(path)["participants"]
        self.assertEqual({person["user_id"]: person["is_admin"] for person in people}, {"bob": True, "dave": False})
        self.assertEqual((alice.inbox(), bob.inbox()[1]), (([], 0), 1))

    def test_a_room(self):
        alice, bob = self.users("alice", "bob")
        room = alice.post("/api/rooms", {"name": "Lobby"}, 201)["conversation_id"]
        bob.post("/api/rooms", {"name": "lobby"}, 409)
        self.assertEqual([found["name"] for found in bob.get("/api/rooms")], ["Lobby"])
        bob.say(room, "let me in", 403)
        bob.post(f"/api/rooms/{room}/join", {})
        bob.say(room, "hello")
        self.assertEqual({user["user_id"] for user in alice.get(f"/api/rooms/{room}/users")}, {"alice", "bob"})
        bob.post(f"/api/rooms/{room}/leave", {})
        self.assertEqual((bob.inbox()[1], alice.names()), (0, ["Lobby"]))
        alice.delete(f"/api/rooms/{room}")
        self.assertEqual((alice.inbox()[1], alice.get("/api/rooms")), (0, []))
        bob.post("/api/rooms", {"name": "lobby"}, 201)


class LargeConversations(OnMoto):
    # The test makes more calls than people do.
    rate_limits = "off"

    def test_the_stream_wakes_the_fan_out(self):
        alice, *others = self.users("alice", *(f"user{n}" for n in range(1, LARGE)))
        group = {"type": "group", "name": "Many", "participant_ids": [other.id for other in others]}
        many = alice.post("/api/conversations", group, 201)["conversation_id"]
        for text in ("one", "two"):
            alice.say(many, text)
        self.until(lambda: {other.unread()[0] for other in others} == {2})
        for other in others:
            self.assertEqual([row["last_message"] for row in other.inbox()[0]], ["two"])


class Events(OnMoto):
    def test_a_cursor_gets_each_event_once(self):
        alice, bob = self.users("alice", "bob")
        alice.send("bob", "before")
        cursor = bob.get("/api/events")["cursor"]
        sent = [alice.send("bob", f"message {n}") for n in range(5)]
        bob.put(f"/api/messages/mark-as-read/{sent[4]['id']}")
        alice.patch(f"/api/messages/{sent[0]['id']}", {"message_text": "edited"})
        alice.delete(f"/api/messages/{sent[1]['id']}")
        alice.post("/api/typing", {"conversation_id": sent[0]["conversation_id"], "is_typing": True})
        found, more = [], True
        while more:
            answer = bob.get(f"/api/events?cursor={cursor}&limit=3")
            found, cursor, more = [*found, *answer["events"]], answer["cursor"], answer["has_more"]
        self.assertEqual(len({event["id"] for event in found}), len(found))
        # The first cursor stands a few seconds back, so what was loaded already may come again.
        kinds = [event["type"] for event in found]
        self.assertEqual(kinds[-9:], ["message.created"] * 5
                         + ["message.read", "message.updated", "message.deleted", "typing"])
        self.assertEqual(bob.get(f"/api/events?cursor={cursor}")["events"], [])

    def test_sockets_receive_pushes(self):
        alice, bob = self.users("alice", "bob")
        at_bob, of_alice = self.socket(bob), self.socket(alice)
        sent = alice.send("bob", "hello")
        pushed = at_bob.find(lambda frame: frame["type"] == "message.created")
        self.assertEqual(pushed["data"]["message"]["id"], sent["id"])
        at_bob.say({"action": "mark_as_read", "ref": "1", "message_id": sent["id"]})
        self.assertEqual(at_bob.find(lambda frame: frame.get("ref") == "1")["type"], "ack")
        read = of_alice.find(lambda frame: frame["type"] == "message.read")
        self.assertEqual(read["data"]["user_id"], "bob")
        of_alice.say({"action": "typing", "ref": "2", "conversation_id": sent["conversation_id"], "is_typing": True})
        self.assertEqual(at_bob.find(lambda frame: frame["type"] == "typing")["data"]["user_id"], "alice")

    def test_presence(self):
        alice, bob = self.users("alice", "bob")
        alice.send("bob", "hello")
        at_bob = self.socket(bob)
        alice.put("/api/presence", {"status": "away"})
        event = at_bob.find(lambda frame: frame["type"] == "presence" and frame["data"]["user_id"] == "alice")
        self.assertEqual(event["data"]["status"], "away")
        status = {found["user_id"]: found["status"] for found in alice.get("/api/presence?user_ids=bob,carol")}
        self.assertEqual(status, {"bob": "online", "carol": "offline"})
        at_bob.close()
        self.until(lambda: alice.get("/api/presence?user_ids=bob")[0]["status"] == "offline")


if __name__ == "__main__":
    unittest.main()
