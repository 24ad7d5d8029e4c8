"""What a gRPC client sends, seen from the wire: calls, their method, target and number of rows.

Reads the client's half of one plain-text HTTP/2 connection (RFC 9113, HPACK by the `hpack` package) and
of each call the gRPC message's protobuf, streaming: nothing of the vectors is kept. Knows of Milvus only
the field numbers of InsertRequest and UpsertRequest that are the same in both."""

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, CONTINUATION = 0, 1, 3, 9
END_STREAM, END_HEADERS, PADDED, PRIORITY = 0x1, 0x4, 0x8, 0x20


class Fields:
    """Streaming reader of a protobuf message's top level: keeps varints and short strings."""

    KEEP = 1024

    def __init__(self):
        self.values = {}
        self._head = b""  # an unfinished tag, varint or kept string
        self._skip = 0

    def feed(self, data):
        at = 0
        if self._skip:
            at = min(self._skip, len(data))
            self._skip -= at
        if at == len(data):
            return
        data = self._head + data[at:] if at else self._head + data
        self._head = b""
        at = 0
        while at < len(data):
            taken = self._field(data, at)
            if taken is None:
                self._head = data[at:]
                return
            at += taken
        self._skip = at - len(data)

    def _field(self, data, start):
        """Bytes that the field at `start` takes (maybe more than are there: skipped), None: cannot tell yet."""
        tag, at = _varint(data, start)
        if tag is None:
            return None
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            if value is None:
                return None
            self.values[number] = value
        elif kind == 1:
            at += 8
        elif kind == 5:
            at += 4
        elif kind == 2:
            length, at = _varint(data, at)
            if length is None:
                return None
            if length <= self.KEEP:
                if at + length > len(data):
                    return None
                self.values[number] = data[at:at + length]
            at += length
        else:
            raise ValueError(f"protobuf wire type {kind}")
        return at - start


def _varint(data, at):
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("protobuf varint over 64 bits")
    return None, at


class Call:
    """One gRPC request. complete: its message has passed whole. rows, collection, partition: of Insert
    and Upsert (num_rows = 7, collection_name = 3, partition_name = 4)."""

    def __init__(self, stream, method):
        self.stream, self.method = stream, method
        self.size = None  # of the message, from its prefix
        self.seen = 0
        self.complete = False
        self.fields = Fields()
        self._prefix = b""

    @property
    def rows(self):
        return self.fields.values.get(7, 0)

    @property
    def collection(self):
        return self.fields.values.get(3, b"").decode()

    @property
    def partition(self):
        return self.fields.values.get(4, b"").decode()

    def feed(self, data):
        if self.size is None:
            self._prefix += data
            if len(self._prefix) < 5:
                return
            self.size = int.from_bytes(self._prefix[1:5], "big")
            data, self._prefix = self._prefix[5:], b""
        data = data[:self.size - self.seen]
        self.seen += len(data)
        if self.method in ("Insert", "Upsert"):
            self.fields.feed(data)
        self.complete = self.seen == self.size

    def __repr__(self):
        return f"<{self.method} {self.collection} rows={self.rows} bytes={self.size} complete={self.complete}>"


class ClientSide:
    """Cuts the client's bytes into frames. feed() yields (frame bytes, the Call of which it is a part or None,
    True when the call becomes complete by this frame), each frame whole; what is not HTTP/2 comes through as it is."""

    def __init__(self):
        self._buffer = bytearray()
        self._started = False
        self._plain = False
        self._decoder = hpack.Decoder()
        self._block = None
        self._calls = {}

    def feed(self, data):
        self._buffer += data
        if not self._started and not self._begin():
            return
        if self._plain:
            yield self._take(len(self._buffer)), None, False
            return
        if not self._started:
            self._started = True
            yield self._take(len(PREFACE)), None, False
        while len(self._buffer) >= 9:
            length = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < 9 + length:
                return
            frame = self._take(9 + length)
            yield self._frame(frame)

    def rest(self):
        """What has come of an unfinished frame."""
        return self._take(len(self._buffer))

    def _begin(self):
        """False: cannot tell yet."""
        front = bytes(self._buffer[:len(PREFACE)])
        if not PREFACE.startswith(front):
            self._plain = True
        return self._plain or len(front) == len(PREFACE)

    def _take(self, size):
        part = bytes(self._buffer[:size])
        del self._buffer[:size]
        return part

    def _frame(self, frame):
        kind, flags = frame[3], frame[4]
        stream = int.from_bytes(frame[5:9], "big") & 0x7FFFFFFF
        call = self._calls.get(stream)
        completed = False
        if kind == HEADERS:
            self._block = bytearray(_payload(frame, flags)[5 if flags & PRIORITY else 0:])
        elif kind == CONTINUATION and self._block is not None:
            self._block += frame[9:]
        elif kind == DATA and call is not None and not call.complete:
            call.feed(_payload(frame, flags))
            completed = call.complete
        elif kind == RST_STREAM:
            self._calls.pop(stream, None)
        if kind in (HEADERS, CONTINUATION) and flags & END_HEADERS and self._block is not None:
            headers = dict(self._decoder.decode(bytes(self._block)))
            self._block = None
            if ":path" in headers:
                call = self._calls[stream] = Call(stream, headers[":path"].rsplit("/", 1)[-1])
        if completed or (kind == DATA and flags & END_STREAM):
            self._calls.pop(stream, None)
        return frame, call, completed


def _payload(frame, flags):
    return frame[10:len(frame) - frame[9]] if flags & PADDED else frame[9:]
