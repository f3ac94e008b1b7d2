"""A board that runs out of memory for a moment loses no message and goes on."""

import sys

from buoy import commands_health
from buoy.message import Message
from buoy_parts import Bench, ScriptedTransport

COUNT = 6


class Short(ScriptedTransport):
    """Raises MemoryError in one call of one kind."""

    def __init__(self, kind, at):
        super().__init__()
        self._kind = kind
        self._left = at + 1

    def _begin(self, kind):
        if kind == self._kind:
            self._left -= 1
            if not self._left:
                raise MemoryError

    def open(self):
        self._begin("open")
        super().open()

    def publish(self, *given):
        self._begin("publish")
        super().publish(*given)

    def subscribe(self, *given):
        self._begin("subscribe")
        super().subscribe(*given)

    def ping(self):
        self._begin("ping")
        super().ping()


class ShortJournal:
    def __init__(self, at):
        self._left = at + 1
        self.acknowledged_seqs = []

    def sent(self, _message):
        self._left -= 1
        if not self._left:
            raise MemoryError

    def acknowledged(self, message):
        self.acknowledged_seqs.append(message.seq)


def arrive(bench, done):
    """As a board's loop drives it: what ran out of memory is tried again at the next turn."""
    link = bench.link
    now_ms = 0
    answered = subscribed = 0
    opened = 0
    for seq in range(COUNT):
        bench.outbox.put(Message(seq, b"aws/0/100/data/", b"payload %d" % seq, 0))
    while len(done) < COUNT:
        assert now_ms < 600000, (link.state, done)
        try:
            if now_ms == 0:
                link.connect(now_ms)
            link.step(now_ms)
            if bench.transport.count("open") > opened:
                opened = bench.transport.count("open")
                link.on_open(False)
            for packet_id, _topics in bench.transport.subscriptions[subscribed:]:
                subscribed += 1
                link.on_suback(packet_id, b"\x01\x01")
            for packet_id in bench.transport.ids()[answered:]:
                answered += 1
                link.on_pubacks((packet_id,))
        except MemoryError:
            pass
        now_ms += 100


def test_every_message_arrives_wherever_the_memory_runs_out_once():
    for kind in ("open", "publish", "subscribe", "ping"):
        for at in range(COUNT if kind == "publish" else 1):
            bench = Bench(in_flight=2, keep_alive_ms=1000)
            transport = Short(kind, at)
            transport.listener = bench.link
            bench.transport = bench.link.transport = transport
            arrive(bench, bench.journal.acknowledged_seqs)
            assert sorted(set(bench.journal.acknowledged_seqs)) == list(range(COUNT))
            assert bench.drops == []


def test_every_message_arrives_when_the_journal_has_no_memory():
    for at in range(COUNT):
        bench = Bench(in_flight=2)
        journal = bench.link.journal = ShortJournal(at)
        arrive(bench, journal.acknowledged_seqs)
        assert sorted(set(journal.acknowledged_seqs)) == list(range(COUNT))


class Client:
    """umqtt.simple's client, which writes a packet in pieces."""

    def __init__(self, *_given, **_named):
        self.sock = None
        self.left = 0

    def set_callback(self, function):
        self.function = function

    def publish(self, topic, _message, _retain, _qos):
        self.sock.write(b"\x32")
        self.sock.write(topic)
        if self.left == 0:
            self.left -= 1
            raise MemoryError
        self.left -= 1


class Socket:
    def __init__(self):
        self.written = b""
        self.closed = False

    def write(self, data):
        self.written += bytes(data)
        return len(data)

    def close(self):
        self.closed = True


class Listener:
    def __init__(self):
        self.reasons = []

    def on_closed(self, reason):
        self.reasons.append(reason)


def umqtt_transport():
    simple = type("simple", (), {"MQTTClient": Client, "MQTTException": ValueError})
    before = {name: sys.modules.get(name) for name in ("umqtt", "umqtt.simple")}
    package = type("umqtt", (), {})()
    package.simple = simple
    sys.modules["umqtt"] = package
    sys.modules["umqtt.simple"] = simple
    try:
        from buoy import umqtt_transport as module
    finally:
        for name in before:
            if before[name] is None:
                del sys.modules[name]
            else:
                sys.modules[name] = before[name]
    transport = module.UmqttTransport("thing", "host", 1883, 60)
    transport.listener = Listener()
    wire = module.Wire(0, None)
    wire.socket = Socket()
    wire.connecting = False
    transport._wire = transport._client.sock = wire
    return transport


def test_half_a_packet_never_leaves_and_the_link_hears_that_the_connection_ended():
    transport = umqtt_transport()
    transport._client.left = 1
    socket = transport._wire.socket
    transport.publish(b"whole", b"", 1, 1, False)
    transport.flush()
    transport.publish(b"half", b"", 1, 2, False)
    transport.flush()
    assert socket.written == b"\x32whole"
    assert socket.closed
    assert transport.poll()
    assert transport.listener.reasons != []
    assert not transport.poll()


def test_a_connection_that_has_no_memory_to_be_made_is_tried_again():
    transport = umqtt_transport()

    def short():
        raise MemoryError

    transport._connect = short
    transport.open()
    assert transport.poll()
    assert transport.listener.reasons == ["no memory"]


class Heap:
    """`gc` and `esp32` of a chip, and the board that asks them."""

    HEAP_DATA = 4

    def __init__(self, size, free, reconnects=3, trouble="out of memory"):
        self.heap_size = 90000  # what the start gave it
        self.idf_lowest = 0
        self.size = size
        self.free = free
        self.link = self.console = self
        self.reconnects = reconnects
        self.trouble = trouble
        self.action = None
        self.lines = []

    def modules(self, _name):
        return self

    def idf_heap_info(self, _capabilities):
        return [(8000, 1000, 900, 0), (110000, self.free - 1000, self.free - 1500, 0)]

    def mem_alloc(self):
        return 60000

    def mem_free(self):
        return self.size - 60000 + self.free - 1500

    def log(self, text, level="info"):
        self.lines.append(level + " " + text)

    def soft_reset(self):
        pass

    def look(self):
        kept = commands_health.gc
        commands_health.gc = self
        try:
            return commands_health.do_room(self)
        finally:
            commands_health.gc = kept


def test_a_board_that_cannot_connect_as_its_heap_grew_starts_again():
    for heap, starts in (
        (Heap(126000, 3000), True),
        (Heap(126000, 3000, reconnects=2), False),  # not at the first trouble
        (Heap(126000, 3000, trouble=""), False),  # it is connected
        (Heap(90000, 57000), False),  # the broker is down
        (Heap(90000, 3000), False),  # a soft reset would change nothing
        (Heap(2000000, 3000000), False),  # PSRAM
    ):
        assert heap.look() == (heap.free, heap.free - 1500, heap.size)
        assert (heap.action is not None) == starts
        assert len(heap.lines) == starts


def test_the_least_of_the_idf_heap_is_what_was_seen_since_the_start():
    heap = Heap(90000, 57000)
    for free, least in ((57000, 57000), (29800, 29800), (57000, 29800)):
        heap.free = free
        heap.look()
        assert heap.idf_lowest == least
