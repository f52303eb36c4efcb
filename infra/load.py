#!/usr/bin/env python3
"""Puts a bounded load on a deployment, and prints what it answered.

    make load URL=https://….amazonaws.com SOCKET_URL=wss://….amazonaws.com/live USERS=20 SECONDS=60

Each user holds a socket, sends a message to the next user every few seconds, and polls. Registration allows an address
ten accounts at once and then one a minute, so more users take that long to begin. The load is bounded: users x seconds
may be at most 60,000, which costs less than a dollar.
"""

import argparse
import random
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict

from client import Api, Refused, Socket, socket_url

PASSWORD = "load and unload"
MOST = 60_000
SENDS_EVERY = 5.0
POLLS_EVERY = 10.0


class Report:
    """Counts and times of all calls; threads share it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.times, self.statuses = defaultdict(list), defaultdict(Counter)

    def add(self, name, status, seconds):
        with self.lock:
            self.times[name].append(seconds)
            self.statuses[name][status] += 1

    def call(self, name, api, method, path, body=None):
        began = time.monotonic()
        try:
            answer = api.call(method, path, body)
        except OSError as error:
            self.add(name, type(error).__name__, time.monotonic() - began)
            return None
        self.add(name, answer.status, time.monotonic() - began)
        return answer

    def show(self):
        print(f"{'':<22}{'count':>7}{'50 %':>8}{'99 %':>8}{'most':>8}  milliseconds; answers")
        for name, times in sorted(self.times.items()):
            times.sort()
            at = [times[min(int(len(times) * part), len(times) - 1)] * 1000 for part in (0.5, 0.99, 1)]
            answers = ", ".join(f"{count} x {status}" for status, count in self.statuses[name].most_common())
            print(f"{name:<22}{len(times):>7}{at[0]:>8.0f}{at[1]:>8.0f}{at[2]:>8.0f}  {answers}")

    def failures(self):
        return sum(
            count
            for statuses in self.statuses.values()
            for status, count in statuses.items()
            if status not in (101, 200, 201, 429, "pushed")
        )


def account(report, url, mark, number):
    """Registers a user, as soon as the limit on registrations lets it."""
    anyone = Api(url)
    username = f"load-{mark}-{number}"
    body = {"username": username, "email": f"{username}@example.com", "password": PASSWORD}
    while (answer := report.call("register", anyone, "POST", "/api/auth/register", body)).status == 429:
        time.sleep(float(answer.headers.get("retry-after", 1)))
    user_id = answer.data["id"]
    login = {"username": username, "password": PASSWORD}
    tokens = report.call("login", anyone, "POST", "/api/auth/login", login).data
    api = Api(url, tokens["access_token"])
    api.id = user_id
    return api


def listen(report, sockets, token, sent, stop):
    """Holds a socket, and times the messages that it hears."""
    began = time.monotonic()
    try:
        socket = Socket(sockets, f"?token={token}")
    except Refused as refused:
        return report.add("open a socket", refused.status, time.monotonic() - began)
    except OSError as error:
        return report.add("open a socket", type(error).__name__, time.monotonic() - began)
    report.add("open a socket", 101, time.monotonic() - began)
    threading.Thread(target=lambda: (stop.wait(), socket.close()), daemon=True).start()
    try:
        while frame := socket.hear():
            message = frame["data"].get("message") if frame.get("type") == "message.created" else None
            at = sent.get(message["client_message_id"] or message["message_text"]) if message else None
            if at:
                report.add("send to push", "pushed", time.monotonic() - at)
    except OSError:
        if not stop.is_set():
            report.add("socket lost", "lost", time.monotonic() - began)


def use(report, api, other, sent, until):
    """Sends and polls as a user does, until a time."""
    answer = report.call("poll", api, "GET", "/api/events")
    cursor = answer.data["cursor"] if answer and answer.status == 200 else None
    time.sleep(random.uniform(0, SENDS_EVERY))
    next_poll = time.monotonic() + random.uniform(0, POLLS_EVERY)
    while time.monotonic() < until:
        text = uuid.uuid4().hex
        sent[text] = time.monotonic()
        body = {"recipient_id": other, "message_text": text, "client_message_id": text}
        report.call("send", api, "POST", "/api/messages/send", body)
        if cursor and time.monotonic() >= next_poll:
            next_poll += POLLS_EVERY
            answer = report.call("poll", api, "GET", f"/api/events?cursor={cursor}")
            if answer and answer.status == 200:
                cursor = answer.data["cursor"]
        report.call("inbox", api, "GET", "/api/messages/inbox?limit=20")
        time.sleep(max(0.0, min(SENDS_EVERY, until - time.monotonic())))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("url", help="the output Url of the stack")
    options.add_argument("--sockets", help="the output SocketUrl of the stack")
    options.add_argument("--users", type=int, default=10)
    options.add_argument("--seconds", type=int, default=60)
    given = options.parse_args()
    if not (2 <= given.users and given.users * given.seconds <= MOST):
        options.error(f"at least 2 users, and users x seconds at most {MOST}")
    report, sent, stop = Report(), {}, threading.Event()
    mark = uuid.uuid4().hex[:8]
    users = [account(report, given.url, mark, number) for number in range(given.users)]
    sockets = given.sockets or socket_url(given.url)
    until = time.monotonic() + given.seconds
    threads = []
    for api, other in zip(users, users[1:] + users[:1]):
        threading.Thread(target=listen, args=(report, sockets, api.token, sent, stop), daemon=True).start()
        threads.append(threading.Thread(target=use, args=(report, api, other.id, sent, until)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(1)
    stop.set()
    for api in users:
        report.call("delete the account", api, "DELETE", "/api/users/me", {"password": PASSWORD})
    report.show()
    sys.exit(report.failures() > 0)


if __name__ == "__main__":
    main()
