"""A small client of a deployment: HTTP and WebSocket with Python's standard library alone."""

import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import struct
import uuid
from urllib.parse import urlsplit

TIMEOUT = 30


class Answer:
    """The answer to a call."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        return self.json["data"]


class Api:
    """Calls an HTTP API over one connection, which it opens again if the server has closed it."""

    def __init__(self, url, token=None):
        self.url, self.token, self.connection = urlsplit(url), token, None

    def call(self, method, path, body=None, headers=()):
        sent = dict(headers)
        if self.token:
            sent["authorization"] = f"Bearer {self.token}"
        if body is not None:
            sent["content-type"] = "application/json"
            body = json.dumps(body)
        for is_last in (False, True):
            if self.connection is None:
                secure = self.url.scheme == "https"
                kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
                self.connection = kind(self.url.netloc, timeout=TIMEOUT)
            try:
                self.connection.request(method, self.url.path.rstrip("/") + path, body, sent)
                response = self.connection.getresponse()
                return Answer(response.status, response.getheaders(), response.read())
            except (ConnectionError, http.client.RemoteDisconnected):
                self.connection.close()
                self.connection = None
                if is_last:
                    raise


def fetch(method, url, body=None, headers=()):
    """Makes one request to any URL and follows no redirect."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=TIMEOUT)
    try:
        connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def post_form(form, file):
    """Posts a form as a browser does: the fields first, the file last."""
    mark = uuid.uuid4().hex
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in form["fields"].items()]
    parts.append(b'name="file"; filename="file"\r\n\r\n' + file)
    start = f"--{mark}\r\nContent-Disposition: form-data; ".encode()
    body = b"".join(start + part + b"\r\n" for part in parts) + f"--{mark}--\r\n".encode()
    return fetch("POST", form["url"], body, [("content-type", f"multipart/form-data; boundary={mark}")])


class Refused(Exception):
    """A handshake that was answered with another status than 101."""

    def __init__(self, status):
        super().__init__(f"the handshake was answered with {status}")
        self.status = status


class Socket:
    """A WebSocket (RFC 6455) for JSON frames."""

    def __init__(self, url, query="", protocols=()):
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        stream = socket.create_connection((parts.hostname, parts.port or (443 if secure else 80)), TIMEOUT)
        if secure:
            stream = ssl.create_default_context().wrap_socket(stream, server_hostname=parts.hostname)
        self.stream, self.buffer = stream, b""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {parts.path or '/'}{query} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
        if protocols:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(protocols))
        stream.sendall("".join(line + "\r\n" for line in [*lines, ""]).encode())
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.received()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        status, *headers = head.decode("latin-1").split("\r\n")
        self.headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in headers)}
        status = int(status.split()[1])
        if status != 101:
            stream.close()
            raise Refused(status)
        accepted = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if self.headers.get("sec-websocket-accept") != base64.b64encode(accepted).decode():
            raise ConnectionError("the handshake's answer is not a WebSocket's")

    def received(self):
        received = self.stream.recv(65536)
        if not received:
            raise ConnectionError("the socket was closed")
        return received

    def take(self, count):
        while len(self.buffer) < count:
            self.buffer += self.received()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def write(self, opcode, payload):
        mask = os.urandom(4)
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0xFE, size)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self.stream.sendall(bytes([0x80 | opcode]) + length + mask + masked)

    def say(self, frame):
        self.write(1, json.dumps(frame).encode())

    def hear(self):
        """Returns the next frame; None if the server closes the socket."""
        message = b""
        while True:
            first, second = self.take(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", self.take(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self.take(8))
            payload, opcode = self.take(size), first & 0x0F
            if opcode == 8:
                return None
            if opcode == 9:
                self.write(10, payload)
            elif opcode != 10:
                message += payload
                if first & 0x80:
                    return json.loads(message)

    def find(self, wanted):
        """Returns the next frame that meets a condition."""
        while (frame := self.hear()) is not None:
            if wanted(frame):
                return frame
        raise ConnectionError("the socket was closed")

    def close(self):
        try:
            self.write(8, b"")
        finally:
            self.stream.close()


def socket_url(url):
    """Returns the address of the local stack's sockets."""
    return url.replace("http", "ws", 1).rstrip("/") + "/ws"
