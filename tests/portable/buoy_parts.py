"""Doubles that the tests of the application share: a scripted transport, a journal, a storage."""

from buoy.app import App, Topics
from buoy.link import Link, LinkPolicy
from buoy.outbox import MemoryOutbox
from buoy.payload import Payload
from buoy.sampler import Sampler


class ScriptedTransport:
    """Records what the link asks for; the test plays the broker by calling `listener`."""

    def __init__(self):
        self.listener = None
        self.writable = True
        self.opening = False
        self.calls = []  # names in order
        self.published = []  # (packet id, topic, payload, qos, dup)
        self.subscriptions = []  # (packet id, topics)

    def open(self):
        self.calls.append("open")

    def publish(self, topic, payload, qos, packet_id, dup):
        self.calls.append("publish")
        self.published.append((packet_id, topic, payload, qos, dup))

    def subscribe(self, topics, _qos, packet_id):
        self.calls.append("subscribe")
        self.subscriptions.append((packet_id, topics))

    def ping(self):
        self.calls.append("ping")

    def flush(self):
        self.calls.append("flush")

    def disconnect(self):
        self.calls.append("disconnect")

    def close(self):
        self.calls.append("close")

    def count(self, name):
        return sum(1 for call in self.calls if call == name)

    def ids(self):
        return [published[0] for published in self.published]

    def payloads(self):
        return [published[2] for published in self.published]


class Journal:
    """Remembers what the link says of every message."""

    def __init__(self):
        self.sent_seqs = []
        self.acknowledged_seqs = []

    def sent(self, message):
        self.sent_seqs.append(message.seq)

    def acknowledged(self, message):
        self.acknowledged_seqs.append(message.seq)


class Storage:
    """What lasts over a reset."""

    def __init__(self):
        self.texts = {}

    def get(self, key):
        return self.texts.get(key)

    def set(self, key, value):
        self.texts[key] = value


class Bench:
    """An application wired to a scripted transport, with everything a test looks at."""

    def __init__(self, sources=None, storage=None, capacity=100, mode="stamped", **policy):
        self.transport = ScriptedTransport()
        self.journal = Journal()
        self.storage = storage or Storage()
        self.commands = []
        self.lines = []
        self.troubles = []
        self.drops = []
        self.outbox = MemoryOutbox(capacity, lambda message, reason: self.drops.append((message.seq, reason)))
        self.topics = Topics("aws/0", 100)
        self.epoch_ms = 1700000000000
        self.app = App(
            self.topics,
            Payload(mode),
            Sampler(sources if sources is not None else [("ph", float)]),
            self.storage,
            lambda now_ms: self.epoch_ms + int(now_ms),
            self.commands.append,
            self.lines.append,
        )
        self.link = Link(
            self.transport,
            self.outbox,
            LinkPolicy(**policy),
            (self.topics.config_global, self.topics.config_sensor),
            lambda: 0.5,
            self.journal,
            self.app.on_config,
            self._trouble,
        )
        self.app.link = self.link

    def _trouble(self, reason):
        self.troubles.append(reason)
        self.app.on_trouble(reason)

    def up(self, now_ms=0):
        """Connect, accept, grant the subscriptions."""
        self.link.connect(now_ms)
        self.link.on_open(False)
        self.link.step(now_ms)
        self.link.on_suback(self.transport.subscriptions[-1][0], b"\x01\x01")
        self.link.step(now_ms)

    def data(self):
        """Payloads published on the data topic."""
        return [published[2] for published in self.transport.published if published[1] == self.topics.data]

    def errors(self):
        """Payloads published on the error topic."""
        return [published[2] for published in self.transport.published if published[1] == self.topics.error]
