"""A TCP forwarder between a client and a server that makes the faults a network can make.

It sees each gRPC call (http2.py), counts rows at the wire, and at chosen calls holds the request back
(keeping the server's side open when the client has died, to release it later), cuts the connection
before or after the request went through, swallows the answer, or goes silent. Connections that are not
plain HTTP/2 (TLS) are forwarded without being understood; only the faults on connections work there.

Rules are taken in the order they were added; each fires once:

    with Forwarder(server.port) as way:
        held = way.on("Insert", "hold", nth=3)    # the third Insert from now on
        ...                                       # point the client at way.uri
        held.wait(10); kill the client; resume; held.release()
"""

import collections
import contextlib
import socket
import struct
import threading
import time

from http2 import ClientSide

ACTIONS = ("hold", "cut_before", "cut_after", "swallow", "silence")


class Rule:
    """hold        keeps back the frame that would complete the request, and all that follows it on this
                   connection, until release(); the server's side stays open although the client dies
    cut_before  both sides are reset before the request is complete: it is never executed
    cut_after   the request goes through whole; then the client's side is reset (the server's stays)
    swallow     the request goes through whole; nothing comes back on this connection any more
    silence     from the request on, nothing goes either way on this connection (a black hole)

    fired: an Event. call: what it fired on. Rows of a held or cut request are counted when they go out."""

    def __init__(self, method, action, nth, larger):
        if action not in ACTIONS:
            raise ValueError(action)
        self.method, self.action, self.nth, self.larger = method, action, nth, larger
        self.fired = threading.Event()
        self.call = None
        self._connection = None

    def matches(self, call):
        if self.fired.is_set() or self.method not in ("*", call.method):
            return False
        if call.size is None or call.size <= self.larger:
            return False
        self.nth -= 1
        return self.nth == 0

    def wait(self, timeout):
        """Until it has fired: True, or False after `timeout` seconds."""
        return self.fired.wait(timeout)

    def reset_client(self):
        """The client's side of a held request's connection is reset; the server's stays as it is."""
        self._connection.reset_client()

    def release(self, fin=None):
        """Lets a held request go. fin: None leaves the server's side open for answers; a number of seconds
        later it is closed by FIN; 0: together with the last byte."""
        self._connection.release(fin)


class _Connection:
    """One client connection and its connection to the server: a thread for each direction."""

    def __init__(self, owner, client):
        self.owner, self.client = owner, client
        self.server = socket.create_connection(owner.target, timeout=10)
        self.server.settimeout(None)
        for sock in (client, self.server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lock = threading.RLock()  # of `held` and of the order of what goes to the server
        self.held = None       # bytes kept back, when holding
        self.held_calls = []   # calls that they complete
        self.silent = False    # nothing goes either way
        self.deaf = False      # nothing goes to the client
        self.client_gone = False
        self._parser = ClientSide()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._up, self._down)]
        for thread in self._threads:
            thread.start()

    # client to server

    def _up(self):
        with contextlib.suppress(OSError):
            while data := self.client.recv(1 << 18):
                if self.owner.black_hole or self.silent:
                    continue
                with self.lock:
                    self._forward(data)
            with self.lock:
                self.client_gone = True
                if self.held is None and not self.silent and not self.deaf:
                    self.server.sendall(self._parser.rest())
                    self.server.shutdown(socket.SHUT_WR)
            return
        with self.lock:
            self.client_gone = True
            if self.held is None and not self.deaf:
                _close(self.server)

    def _forward(self, data):
        out = bytearray()
        for frame, call, completed in self._parser.feed(data):
            rule = self.owner._rule(call) if completed else None
            if rule is not None:
                if not self._fire(rule, call, frame, out):
                    return
                continue
            if completed and self.held is None:
                self.owner._count(call)
            elif completed:
                self.held_calls.append(call)
            if self.held is not None:
                self.held += frame
            else:
                out += frame
        self.server.sendall(out)

    def _fire(self, rule, call, frame, out):
        """False: nothing more is to be forwarded."""
        rule.call, rule._connection = call, self
        going_on = True
        if rule.action == "hold":
            self.server.sendall(out)
            out.clear()
            self.held, self.held_calls = bytearray(frame), [call]
        elif rule.action == "cut_before":
            self.server.sendall(out)
            self.cut()
            going_on = False
        elif rule.action == "silence":
            self.server.sendall(out)
            self.silent = True
            going_on = False
        else:
            self.deaf = True
            self.server.sendall(bytes(out) + frame)
            out.clear()
            self.owner._count(call)
            if rule.action == "cut_after":
                _reset(self.client)
                going_on = False
        rule.fired.set()
        return going_on

    def reset_client(self):
        with self.lock:
            self.client_gone = True
        _reset(self.client)

    def release(self, fin):
        with self.lock:
            held, self.held = self.held, None
            if held is None:
                raise RuntimeError("nothing is held")
            self.server.sendall(held)
            for call in self.held_calls:
                self.owner._count(call)
        if fin is not None:
            time.sleep(fin)
            with contextlib.suppress(OSError):
                self.server.shutdown(socket.SHUT_WR)

    # server to client

    def _down(self):
        with contextlib.suppress(OSError):
            while data := self.server.recv(1 << 18):
                if self.owner.black_hole or self.silent or self.deaf or self.client_gone:
                    continue
                try:
                    self.client.sendall(data)
                except OSError:
                    self.client_gone = True  # go on reading: a held request wants its window
        if not self.silent and not self.deaf:
            with contextlib.suppress(OSError):
                self.client.shutdown(socket.SHUT_WR)

    def cut(self):
        _reset(self.client)
        _reset(self.server)

    def half_close(self):
        """The client sees the end of the server's answers, but can still send."""
        self.deaf = True
        with contextlib.suppress(OSError):
            self.client.shutdown(socket.SHUT_WR)


def _reset(sock):
    """Closes with RST, also under a thread that is reading."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RD)  # wakes the thread that reads; sends nothing
    sock.close()


def _close(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads
    sock.close()


class Forwarder:
    """Listens on a free loopback port. calls: every complete Insert and Upsert that went to the server."""

    def __init__(self, port, host="127.0.0.1"):
        self.target = (host, port)
        self.black_hole = False  # True: bytes are read and thrown away, on all connections
        self.calls = []
        self._rules = []
        self._connections = []
        self._lock = threading.Lock()
        self._listener = None
        self._port = 0
        self.listen()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def port(self):
        return self._port

    @property
    def uri(self):
        return f"http://127.0.0.1:{self._port}"

    def listen(self):
        """Accepts connections (again, after refuse())."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                connection = _Connection(self, client)
            except OSError:  # the server is not there: so it looks to the client
                _reset(client)
                continue
            with self._lock:
                self._connections.append(connection)

    def refuse(self):
        """New connections are refused; the open ones stay."""
        listener, self._listener = self._listener, None
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def on(self, method, action, nth=1, larger=0):
        """Adds a rule for the nth call of `method` ("Insert", …, "*": any) whose message has more than
        `larger` bytes, counted from now. Returns the Rule."""
        rule = Rule(method, action, nth, larger)
        with self._lock:
            self._rules.append(rule)
        return rule

    def _rule(self, call):
        with self._lock:
            return next((rule for rule in self._rules if rule.matches(call)), None)

    def _count(self, call):
        if call.method in ("Insert", "Upsert"):
            with self._lock:
                self.calls.append(call)

    def rows(self, method=None):
        """Rows that went to the server in Insert and Upsert requests, or in one kind of them."""
        with self._lock:
            return sum(call.rows for call in self.calls if method in (None, call.method))

    def requests(self):
        with self._lock:
            return collections.Counter(call.method for call in self.calls)

    def cut_all(self):
        """Resets every open connection."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.cut()

    def half_close_all(self):
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.half_close()

    def close(self):
        self.refuse()
        self.cut_all()
