"""The link's transport on a board: umqtt.simple, used as it is, on a socket that never blocks it.

umqtt.simple (any version from 1.3.4) writes a packet in several small pieces and then waits, without a
deadline, for the answer. Here it is given a socket of our own that

- gathers what umqtt writes and sends it as one packet, looping over short writes, without waiting;
- ends umqtt's wait before it begins (`Parked`): the link has its own deadlines;
- gives umqtt an incoming packet only when the whole packet is there, so that no read can hang on half of one.

`poll()` moves bytes both ways and tells the listener what arrived. Only `open()` blocks: name look-up, TCP
connect and TLS handshake cannot be done otherwise on a board; together they have one deadline.
"""

import socket as system_socket

import umqtt.simple as simple

from buoy.shims import forget, ticks_add, ticks_ms
from buoy.wire import MAX_PACKET_BYTES, Parked, Wire
from sensors import once, seldom

OUT_OF_MEMORY = "no memory"

_PINGRESP = 0xD0
_PUBACK = 0x40
_SUBACK = 0x90
_PUBLISH = 0x30

# Subscriptions beyond the first of a call need packet ids of their own: the link's grow from 1.
_EXTRA_PACKET_ID = 0xFF00


class _Sockets:
    """Stands where umqtt finds its socket module."""

    def __init__(self):
        self.wire = None

    def socket(self, *_arguments):
        return self.wire

    def getaddrinfo(self, *arguments):
        return system_socket.getaddrinfo(*arguments)


_sockets = _Sockets()


class UmqttTransport:
    """A transport for `buoy.link.Link` over umqtt.simple.

    `wrap` makes a TLS socket of a connected one, or is None. `open_timeout_ms` bounds name look-up (as far as
    the port allows), TCP, TLS and CONNACK together.
    """

    @once
    def __init__(
        self, client_id, host, port, keep_alive_s, open_timeout_ms=15000, wrap=None, clean_session=True
    ):
        self.listener = None
        self.writable = False
        self._open_timeout_ms = open_timeout_ms
        self._wrap = wrap
        self._clean_session = clean_session
        self._client = simple.MQTTClient(client_id, host, port, keepalive=keep_alive_s)
        self._client.set_callback(self._on_message)
        self._wire = None
        self.opening = False  # open() was called; the next poll() does it, and does not return before
        self._message = None
        self._subscriptions = {}  # packet id → index, of the SUBSCRIBE under way
        self._subscribe_id = 0
        self._codes = bytearray()

    # What the link calls

    def open(self):
        """Connect at the next poll."""
        self.close()
        self.opening = True

    def publish(self, topic, payload, qos, packet_id, dup):
        """Queue a PUBLISH."""
        wire = self._wire
        if wire is None:
            return
        wire.begin_packet()
        self._client.pid = packet_id - 1
        try:
            self._client.publish(topic, payload, False, qos)
        except Parked:
            pass
        except MemoryError as error:
            # Half a packet must not leave: the connection ends, and the message goes with the next one.
            wire.drop_packet()
            self._lost(error)
            return
        if dup and qos:
            wire.mark_duplicate()
        self._note_backlog()

    @seldom
    def subscribe(self, topics, qos, packet_id):
        """Queue a SUBSCRIBE for each topic: umqtt knows no other way."""
        wire = self._wire
        if wire is None:
            return
        self._subscribe_id = packet_id
        self._subscriptions = {}
        self._codes = bytearray(len(topics))
        for index, topic in enumerate(topics):
            own_id = packet_id if index == 0 else _EXTRA_PACKET_ID + index
            self._subscriptions[own_id] = index
            wire.begin_packet()
            self._client.pid = own_id - 1
            try:
                self._client.subscribe(topic, qos)
            except Parked:
                pass

    def ping(self):
        """Queue a PINGREQ."""
        if self._wire is not None:
            self._client.ping()

    def flush(self):
        """Send what can be sent without waiting; the rest follows at the next polls."""
        wire = self._wire
        if wire is None:
            return
        try:
            wire.flush()
        except (OSError, MemoryError) as error:
            self._lost(error)
            return
        self._note_backlog()

    @seldom
    def disconnect(self):
        """Say goodbye, if the peer listens, and close."""
        wire = self._wire
        if wire is not None:
            try:
                wire.write(b"\xe0\x00")
                wire.flush()
            except OSError:
                pass  # it is gone already: nobody to say goodbye to
        self.close()

    def close(self):
        """Drop the connection at once; no event follows."""
        self.opening = False
        self._failure = None
        self.writable = False
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    # What the board's loop calls

    _failure = None

    def poll(self):
        """Move bytes and tell the listener what arrived. True if there may be more at once."""
        if self._failure is not None:
            reason = self._failure
            self.close()
            self.listener.on_closed(reason)
            return True
        if self.opening:
            self.opening = False
            try:
                self._connect()
            except MemoryError:
                self.close()
                self.listener.on_closed(OUT_OF_MEMORY)
            return True
        wire = self._wire
        if wire is None:
            return False
        try:
            if wire.backlog():
                wire.flush()
                self._note_backlog()
            busy = wire.fill()
            while self._wire is wire:
                first = wire.next_packet()
                if first is None:
                    break
                busy = True
                topic = wire.too_large
                if topic is None:
                    self._handle(wire, first)
                else:
                    wire.too_large = None
                    wire.flush()
                    self.listener.on_message(topic, None, bool(first & 1))
                wire.skip_packet()
            return busy
        except (OSError, AssertionError, IndexError, ValueError, MemoryError) as error:
            # umqtt checks its peer with assert and by indexing: all of it means a broken connection.
            self._lost(error)
            return True

    def readable(self):
        """The socket to wait on, or None."""
        return None if self._wire is None else self._wire.socket

    # Inside

    @seldom
    def _connect(self):
        deadline_ms = ticks_add(ticks_ms(), self._open_timeout_ms)
        wire = _sockets.wire = Wire(deadline_ms, self._wrap)
        simple.socket = _sockets
        try:
            session = self._client.connect(self._clean_session)
        except simple.MQTTException as error:
            wire.close()
            self.listener.on_closed("refused: CONNACK %s" % error.args[0])
            return
        except (OSError, AssertionError, IndexError, ValueError, MemoryError) as error:
            wire.close()
            self.listener.on_closed("cannot connect: %s" % _described(error))
            return
        wire.connecting = False
        self._wire = wire
        self.writable = True
        self.listener.on_open(bool(session))
        self.flush()

    def _handle(self, wire, first):
        kind = first & 0xF0
        listener = self.listener
        self._client.wait_msg()
        if kind == _PUBLISH:
            wire.flush()  # the PUBACK that umqtt wrote
            if self._message is not None:
                topic, payload = self._message
                self._message = None
                listener.on_message(topic, payload, bool(first & 1))
        elif kind == _PUBACK:
            body = wire.read(3)
            if body[0] != 2:
                raise OSError("a PUBACK of %d bytes" % body[0])
            listener.on_pubacks((body[1] << 8 | body[2],))
        elif kind == _SUBACK:
            body = wire.read(4)
            index = self._subscriptions.pop(body[1] << 8 | body[2], None)
            if index is not None:
                self._codes[index] = body[3]
                if not self._subscriptions:
                    listener.on_suback(self._subscribe_id, bytes(self._codes))
        elif kind == _PINGRESP:
            listener.on_pong()
        else:
            raise OSError("an unexpected packet 0x%02x" % first)

    def _on_message(self, topic, payload, *_more):
        self._message = (topic, payload)

    def _note_backlog(self):
        wire = self._wire
        self.writable = wire is not None and wire.backlog() < MAX_PACKET_BYTES

    def _lost(self, error):
        # Told at the next poll: the link may be in the middle of a call of ours.
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        self.writable = False
        try:
            self._failure = _described(error)
        except MemoryError:
            self._failure = OUT_OF_MEMORY


@seldom
def _described(error):
    """An exception in words for a log line; the words are in memory only for that."""
    try:
        from buoy import trouble

        words = trouble.describe(error)
    except MemoryError:
        return repr(error)
    forget("buoy", ("trouble",))
    return words
