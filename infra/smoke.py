#!/usr/bin/env python3
"""Checks a deployment from outside, with two new accounts, which it deletes at the end.

    make smoke URL=https://….execute-api.eu-central-1.amazonaws.com SOCKET_URL=wss://….amazonaws.com/live

The deployment must allow registration, and browsers from ORIGIN (by default any that CorsOrigins=* allows).
Without SOCKET_URL it takes the address of the local stack's sockets.
"""

import argparse
import sys
import time
import traceback
import uuid

from client import Api, Refused, Socket, fetch, post_form, socket_url

PASSWORD = "smoke and mirrors"
CHECKS = []


def check(function):
    """Adds a function to the checks, which run in order."""
    CHECKS.append(function)
    return function


def same(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r} instead of {wanted!r}")


class World:
    """The deployment, and two users."""

    def __init__(self, url, sockets, origin):
        self.url, self.sockets, self.origin = url, sockets, origin
        self.anyone = Api(url)
        self.mark = uuid.uuid4().hex[:12]
        self.users = {}

    def user(self, name):
        return self.users[name]

    def expect(self, status, api, method, path, body=None, headers=()):
        answer = api.call(method, path, body, headers)
        same(answer.status, status, f"{method} {path.split('?')[0]} ({answer.body[:200]!r})")
        return answer

    def refusal(self, query="", protocols=()):
        try:
            Socket(self.sockets, query, protocols).close()
        except Refused as refused:
            return refused.status
        return 101

    def speaks(self, socket):
        """Checks that a socket answers."""
        socket.say({"action": "ping", "ref": self.mark})
        same(socket.find(lambda frame: frame.get("ref") == self.mark)["type"], "pong", "the answer to a ping")


@check
def health(world):
    same(world.expect(200, world.anyone, "GET", "/health").json["status"], "ok", "the health")


@check
def preflights(world):
    asked = {
        "origin": world.origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,traceparent,baggage",
    }
    for path in ("/api/messages/send", "/api/messages/inbox", "/api/no/such/route"):
        headers = world.expect(204, world.anyone, "OPTIONS", path, headers=asked.items()).headers
        allowed = headers.get("access-control-allow-origin")
        if allowed not in (world.origin, "*"):
            raise AssertionError(f"{path} allows {allowed} and not {world.origin}: set ORIGIN to one of CorsOrigins")
        names = [name.strip().lower() for name in headers["access-control-allow-headers"].split(",")]
        for name in asked["access-control-request-headers"].split(","):
            if name not in names:
                raise AssertionError(f"{path} does not allow {name}, but {names}")
        if int(headers.get("access-control-max-age", 0)) < 600:
            raise AssertionError(f"browsers forget the preflight of {path}")


@check
def answers_for_browsers(world):
    # Errors of functions must be readable, too.
    answer = world.expect(401, world.anyone, "GET", "/api/messages/inbox", headers=[("origin", world.origin)])
    if answer.headers.get("access-control-allow-origin") not in (world.origin, "*"):
        raise AssertionError("a browser cannot read the answer")


@check
def unknown_routes(world):
    for method, path in (("GET", "/api/no/such/route"), ("POST", "/api/messages/inbox"), ("DELETE", "/nothing")):
        same(world.expect(404, world.anyone, method, path).json["code"], "not_found", f"{method} {path}")
    world.expect(404, world.anyone, "HEAD", "/api/users/me")


@check
def registration_and_login(world):
    for name in ("alice", "bob"):
        username = f"smoke-{name}-{world.mark}"
        account = {"username": username, "email": f"{username}@example.com", "password": PASSWORD}
        user_id = world.expect(201, world.anyone, "POST", "/api/auth/register", account).data["id"]
        login = {"username": username, "password": PASSWORD}
        tokens = world.expect(200, world.anyone, "POST", "/api/auth/login", login).data
        api = Api(world.url, tokens["access_token"])
        world.users[name] = api
        api.id = user_id
        same(world.expect(200, api, "GET", "/api/users/me").data["id"], user_id, "the caller")
        wrong = {"username": username, "password": "not this one"}
        world.expect(401, world.anyone, "POST", "/api/auth/login", wrong)


@check
def sending_and_polling(world):
    alice, bob = world.user("alice"), world.user("bob")
    cursor = world.expect(200, bob, "GET", "/api/events").data["cursor"]
    message = {"recipient_id": bob.id, "message_text": f"Hello {world.mark}", "client_message_id": world.mark}
    sent = world.expect(201, alice, "POST", "/api/messages/send", message).data
    again = world.expect(200, alice, "POST", "/api/messages/send", message).data
    same(again["id"], sent["id"], "the id of a message that was sent twice")
    events = world.expect(200, bob, "GET", f"/api/events?cursor={cursor}").data["events"]
    created = [event for event in events if event["type"] == "message.created"]
    same([event["data"]["message"]["id"] for event in created], [sent["id"]], "the messages of a poll")
    row = world.expect(200, bob, "GET", "/api/messages/inbox").data[0]
    same((row["unread_count"], row["last_message"]), (1, message["message_text"]), "the row of the inbox")
    page = world.expect(200, bob, "GET", f"/api/messages/conversation/{alice.id}").data
    same([message["id"] for message in page], [sent["id"]], "the page of the conversation")


@check
def search(world):
    found = world.expect(200, world.user("bob"), "GET", f"/api/messages/search?q={world.mark}").data
    same([hit["message_text"] for hit in found], [f"Hello {world.mark}"], "the hits")


@check
def an_attachment(world):
    alice, bob = world.user("alice"), world.user("bob")
    file = f"a file of {world.mark}".encode()
    new = {"file_name": "note.txt", "content_type": "text/plain", "size": len(file)}
    asked = world.expect(201, alice, "POST", "/api/attachments", new).data
    message = {"recipient_id": bob.id, "attachments": [{"attachment_id": asked["attachment_id"]}]}
    same(world.expect(409, alice, "POST", "/api/messages/send", message).json["code"], "not_uploaded", "an early send")
    same(post_form(asked["upload"], file + b"!").status, 400, "the answer to a file that is too long")
    posted = post_form(asked["upload"], file)
    same(posted.status, 204, f"the answer to a form ({posted.body[:200]!r})")
    sent = world.expect(201, alice, "POST", "/api/messages/send", message).data
    (shown,) = world.expect(200, bob, "GET", f"/api/messages/conversation/{alice.id}").data[-1]["attachments"]
    same((shown["file_name"], shown["size"]), ("note.txt", len(file)), "the attachment")
    link = fetch("GET", shown["url"])
    same(link.status, 302, f"the answer to {shown['url'].split('?')[0]}")
    loaded = fetch("GET", link.headers["location"])
    same((loaded.status, loaded.body), (200, file), "the file")
    same(loaded.headers["content-type"], "application/octet-stream", "the type of a text")
    if not loaded.headers["content-disposition"].startswith("attachment"):
        raise AssertionError("a text shows in place")
    world.expect(200, alice, "DELETE", f"/api/messages/{sent['id']}")
    same(fetch("GET", shown["url"]).status, 404, "the answer to the link of a deleted message")


@check
def a_socket_with_a_token(world):
    socket = Socket(world.sockets, f"?token={world.user('bob').token}")
    world.speaks(socket)
    message = {"recipient_id": world.user("bob").id, "message_text": "pushed"}
    began = time.monotonic()
    sent = world.expect(201, world.user("alice"), "POST", "/api/messages/send", message).data
    event = socket.find(lambda frame: frame.get("type") == "message.created")
    same(event["data"]["message"]["id"], sent["id"], "the message that was pushed")
    print(f"     pushed {1000 * (time.monotonic() - began):.0f} ms after the send began")
    frame = {"action": "send", "ref": 1, "recipient_id": world.user("alice").id, "message_text": "by a frame"}
    socket.say(frame)
    same(socket.find(lambda frame: frame.get("ref") == 1)["type"], "ack", "the answer to a frame")
    socket.close()


@check
def a_socket_with_a_ticket(world):
    ticket = world.expect(201, world.user("bob"), "POST", "/api/ws-ticket").data["ticket"]
    socket = Socket(world.sockets, f"?ticket={ticket}")
    world.speaks(socket)
    socket.close()
    same(world.refusal(f"?ticket={ticket}"), 401, "a ticket that was used")


@check
def a_socket_with_a_subprotocol(world):
    socket = Socket(world.sockets, protocols=("tidings", world.user("bob").token))
    same(socket.headers.get("sec-websocket-protocol"), "tidings", "the subprotocol of the answer")
    world.speaks(socket)
    socket.close()


@check
def sockets_without_a_valid_token(world):
    for query, protocols in (("", ()), ("?token=wrong", ()), ("?ticket=wrong", ()), ("", ("tidings", "wrong"))):
        same(world.refusal(query, protocols), 401, f"a handshake with {query or protocols or 'nothing'}")


def clean_up(world):
    for api in world.users.values():
        world.expect(200, api, "DELETE", "/api/users/me", {"password": PASSWORD})


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("url", help="the output Url of the stack")
    options.add_argument("--sockets", help="the output SocketUrl of the stack")
    options.add_argument("--origin", default="http://localhost:3000", help="an origin from which browsers may call")
    given = options.parse_args()
    world = World(given.url, given.sockets or socket_url(given.url), given.origin)
    failed = 0
    for function in [*CHECKS, clean_up]:
        name = function.__name__.replace("_", " ")
        try:
            function(world)
            print(f"ok   {name}")
        except Exception as error:
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}")
            if not isinstance(error, (AssertionError, OSError, Refused)):
                traceback.print_exc()
    print(f"{len(CHECKS) + 1 - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
