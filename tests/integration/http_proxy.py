"""A proxy for plain HTTP/1.1 that counts requests and makes the faults a network or an overloaded service can make.

It forwards bytes as they are (the Host header too, which signatures cover). Rules are taken in the order they were
added and fire `times` times, from the nth match on:

    with FaultProxy(server.port) as way:
        way.on(lambda r: r.method == "PUT", "answer", status=503, code="SlowDown", times=2)
        ...                                      # point the client at way.uri
        assert way.count("PUT") == 3
"""

import contextlib
import gzip
import socket
import struct
import threading
import time
import urllib.parse

ACTIONS = ("answer", "cut_request", "cut_reply", "tamper", "tamper_reply", "change_reply", "slow_reply", "call")


class Request:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.path, _, query = self.target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.headers = {name.strip().lower(): value.strip()
                        for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        self.size = int(self.headers.get("content-length", 0))
        self.body = b""     # when the proxy keeps bodies
        self.fault = None   # the action that met it
        self.status = None  # of the answer that came back

    def __repr__(self):
        return f"{self.method} {self.target} {self.size} -> {self.fault or ''}{self.status}"


class Rule:
    """answer        status, code (an S3 error's) and headers are answered, nothing is forwarded
    cut_request   after `after` bytes of the body both sides are reset
    cut_reply     the request goes through; after `after` bytes of the answer's body (-1: not even its head) the
                  client's side is reset
    tamper        byte `after` of the request's body is changed
    tamper_reply  byte `after` of the answer's body is changed
    change_reply  function(request, body) makes the answer's body of the one that came; both without content coding
    slow_reply    the answer's body goes on in pieces of `piece` bytes, `pause` seconds before each
    call          function(request) is called, then it is forwarded"""

    def __init__(self, where, action, nth, times, values):
        if action not in ACTIONS:
            raise ValueError(action)
        self.where, self.action, self.nth, self.times, self.values = where, action, nth, times, values
        self.fired = 0

    def matches(self, request):
        if self.fired >= self.times or not self.where(request):
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        self.fired += 1
        return True


class _Reader:
    def __init__(self, sock):
        self.sock, self.held = sock, b""

    def head(self):
        """Up to and with the empty line; None at the end."""
        while b"\r\n\r\n" not in self.held:
            data = self.sock.recv(1 << 16)
            if not data:
                return None
            self.held += data
        head, _, self.held = self.held.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def some(self, most):
        if not self.held:
            self.held = self.sock.recv(1 << 18)
        data, self.held = self.held[:most], self.held[most:]
        return data

    def line(self):
        while b"\r\n" not in self.held:
            data = self.sock.recv(1 << 16)
            if not data:
                raise OSError("ended")
            self.held += data
        line, _, self.held = self.held.partition(b"\r\n")
        return line + b"\r\n"


class _Cut(Exception):
    pass


class _Slow:
    """A socket to send on, slowly."""

    def __init__(self, sock, piece, pause):
        self.sock, self.piece, self.pause = sock, piece, pause

    def sendall(self, data):
        for start in range(0, len(data), self.piece):
            time.sleep(self.pause)
            self.sock.sendall(data[start:start + self.piece])


def _reset(sock):
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class FaultProxy:
    """requests: every request whose head came, in order; their bodies where keep_bodies. most: how many were on their
    way at once, at most. While `broken` is set, connections are refused."""

    def __init__(self, port, host="127.0.0.1", keep_bodies=False):
        self.target = (host, port)
        self.requests = []
        self.keep_bodies = keep_bodies
        self.most = self._now = 0
        self.broken = False
        self._rules = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def on(self, where, action, nth=1, times=1, **values):
        rule = Rule(where, action, nth, times, values)
        with self._lock:
            self._rules.append(rule)
        return rule

    def count(self, method=None, where=lambda request: True):
        with self._lock:
            return sum(1 for request in self.requests if method in (None, request.method) and where(request))

    def clear(self):
        with self._lock:
            self.requests, self._rules = [], []

    def settle(self, timeout=30):
        """Waits until no request is on its way any more, those of a client that is gone among them."""
        end = time.monotonic() + timeout
        while self._now > 0:
            if time.monotonic() > end:
                raise TimeoutError(f"{self._now} requests are still on their way after {timeout} s")
            time.sleep(0.01)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.broken:
                _reset(client)
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        upstream = None
        try:
            upstream = socket.create_connection(self.target, timeout=60)
            for sock in (client, upstream):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            down, up = _Reader(client), _Reader(upstream)
            while (head := down.head()) is not None:
                if not self._exchange(head, client, down, upstream, up):
                    break
        except _Cut:
            _reset(client)
        except OSError:
            pass
        finally:
            client.close()
            if upstream:
                upstream.close()

    def _exchange(self, head, client, down, upstream, up):
        request = Request(head)
        with self._lock:
            self.requests.append(request)
            self._now += 1
            self.most = max(self.most, self._now)
            rule = next((rule for rule in self._rules if rule.matches(request)), None)
        try:
            return self._carry(request, rule, head, client, down, upstream, up)
        finally:
            with self._lock:
                self._now -= 1

    def _carry(self, request, rule, head, client, down, upstream, up):
        request.fault = rule and rule.action
        if request.fault == "answer":
            return self._answer(request, rule.values, client, down)
        if request.fault == "call":
            rule.values["function"](request)
        upstream.sendall(head)
        self._forward_body(request, rule, down, upstream)
        return self._forward_reply(request, rule, client, up)

    def _answer(self, request, values, client, down):
        left = request.size
        while left > 0:
            left -= len(down.some(left))
        code = values.get("code")
        body = f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as asked</Message></Error>" if code else ""
        body = values.get("body", body)
        lines = [f"HTTP/1.1 {values['status']} X", f"Content-Length: {len(body)}", *values.get("headers", [])]
        client.sendall(("\r\n".join(lines) + "\r\n\r\n" + ("" if request.method == "HEAD" else body)).encode())
        request.status = values["status"]
        return True

    def _forward_body(self, request, rule, down, upstream):
        done = 0
        limit = rule.values.get("after", 0) if rule else 0
        while done < request.size:
            data = down.some(request.size - done)
            if not data:
                raise OSError("the client went away")
            if request.fault == "cut_request" and done + len(data) >= limit:
                upstream.sendall(data[:limit - done])
                _reset(upstream)
                raise _Cut
            if request.fault == "tamper" and done <= limit < done + len(data):
                data = bytearray(data)
                data[limit - done] ^= 1
            upstream.sendall(data)
            if self.keep_bodies:
                request.body += data
            done += len(data)

    def _forward_reply(self, request, rule, client, up):
        head = up.head()
        if head is None:
            return False
        lines = head.decode("latin-1").split("\r\n")
        request.status = int(lines[0].split(" ")[1])
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        after = rule.values.get("after", 0) if rule else 0
        if request.fault == "cut_reply" and after < 0:
            raise _Cut
        if request.fault == "change_reply":
            return self._change_reply(request, rule.values["function"], lines, headers, client, up)
        client = _Slow(client, **rule.values) if request.fault == "slow_reply" else client
        client.sendall(head)
        if request.method == "HEAD" or request.status in (204, 304):
            return True
        if headers.get("transfer-encoding", "").lower() == "chunked":
            while True:
                line = up.line()
                size = int(line.split(b";")[0], 16)
                client.sendall(line)
                self._pipe(request, after, client, up, size + 2)
                if size == 0:
                    return True
        self._pipe(request, after, client, up, int(headers.get("content-length", 0)))
        return headers.get("connection", "").lower() != "close"

    def _change_reply(self, request, function, lines, headers, client, up):
        body = self._whole(headers, up)
        if headers.get("content-encoding", "").lower() == "gzip":
            body = gzip.decompress(body)
        body = function(request, body)
        dropped = ("content-length", "content-encoding", "transfer-encoding")
        kept = [line for line in lines if line and line.partition(":")[0].strip().lower() not in dropped]
        client.sendall("\r\n".join([*kept, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body)
        return headers.get("connection", "").lower() != "close"

    @staticmethod
    def _whole(headers, up):
        parts = []

        def take(size):
            while size:
                data = up.some(size)
                if not data:
                    raise OSError("the server went away")
                parts.append(data)
                size -= len(data)

        if headers.get("transfer-encoding", "").lower() != "chunked":
            take(int(headers.get("content-length", 0)))
            return b"".join(parts)
        while size := int(up.line().split(b";")[0], 16):
            take(size)
            up.line()
        up.line()
        return b"".join(parts)

    @staticmethod
    def _pipe(request, after, client, up, size):
        done = 0
        while done < size:
            data = up.some(size - done)
            if not data:
                raise OSError("the server went away")
            if request.fault == "cut_reply" and done + len(data) > after:
                client.sendall(data[:after - done])
                raise _Cut
            if request.fault == "tamper_reply" and done <= after < done + len(data):
                data = bytearray(data)
                data[after - done] ^= 1
            client.sendall(data)
            done += len(data)
