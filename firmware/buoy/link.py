"""Link policy: connect, back off, keep alive, window, resend. The transport only moves packets.

A transport has `open()`, `publish(topic, payload, qos, packet_id, dup)`, `subscribe(topics, qos, packet_id)`,
`ping()`, `flush()`, `disconnect()`, `close()` and `writable`; it calls the `on_…` methods of its `listener`,
which is the link, and never from inside one of its own methods. After `close()` it calls nothing.

The link never sleeps and never reads a clock: `step(now_ms)` does what is due and returns when it wants to be
called again; whoever drives it calls `step` soon after an event as well.
"""

from buoy.shims import new_ordered_dict
from sensors import once, seldom

IDLE = 0
CONNECTING = 1
UP = 2
WAITING = 3  # for the end of a back-off
STOPPED = 4

FOREVER_MS = 1 << 29  # a wake-up time far away that still is a small integer on a 32-bit board


class LinkPolicy:
    """Times in ms. `in_flight`: unacknowledged messages at once; `gap_ms`: least distance of sends, or 0."""

    __slots__ = (
        "ack_timeout_ms",
        "backoff_max_ms",
        "backoff_min_ms",
        "connect_timeout_ms",
        "durable",
        "gap_ms",
        "in_flight",
        "keep_alive_ms",
        "qos",
    )

    @once
    def __init__(
        self,
        qos=1,
        in_flight=20,
        keep_alive_ms=60000,
        connect_timeout_ms=10000,
        ack_timeout_ms=10000,
        backoff_min_ms=500,
        backoff_max_ms=30000,
        gap_ms=0,
    ):
        self.qos = qos
        self.in_flight = in_flight
        self.keep_alive_ms = keep_alive_ms
        self.connect_timeout_ms = connect_timeout_ms
        self.ack_timeout_ms = ack_timeout_ms
        self.backoff_min_ms = backoff_min_ms
        self.backoff_max_ms = backoff_max_ms
        self.gap_ms = gap_ms
        self.durable = False  # every message goes through the outbox, so that a power cut loses none


class Link:
    """One buoy's connection as its application sees it.

    `journal`, if there is one, hears of every attempt: `sent(message)` before the bytes leave,
    `acknowledged(message)`.
    `on_config(topic, payload)` gets the messages of the subscribed topics; `on_trouble(reason)` hears
    why a connection ended or could not be made.
    """

    __slots__ = (
        "_ack_deadline_ms",
        "_deadline_ms",
        "_delay_ms",
        "_failures",
        "_flying",
        "_fresh",
        "_heard",
        "_last_in_ms",
        "_last_out_ms",
        "_next_send_ms",
        "_outbox",
        "_packet_id",
        "_ping_ms",
        "_pinged",
        "_random",
        "_suback_id",
        "_topics",
        "journal",
        "on_config",
        "on_trouble",
        "policy",
        "reconnects",
        "state",
        "transport",
        "trouble",
    )

    @once
    def __init__(self, transport, outbox, policy, topics, random, journal, on_config, on_trouble):
        self.transport = transport
        transport.listener = self
        self._outbox = outbox
        self.policy = policy
        self._topics = topics
        self._random = random
        self.journal = journal
        self.on_config = on_config
        self.on_trouble = on_trouble
        self.state = IDLE
        self.reconnects = 0
        self.trouble = ""  # why there is no connection; "" while there is one
        self._flying = new_ordered_dict()  # packet id → message, in order of sending
        self._packet_id = 0
        self._failures = 0
        self._deadline_ms = 0  # of CONNACK, or the end of the back-off
        self._delay_ms = 0  # a back-off that has not begun to count
        self._suback_id = 0  # awaited; 0: none
        self._ack_deadline_ms = 0  # of SUBACK
        self._fresh = False
        self._pinged = False
        self._ping_ms = 0
        self._heard = False
        self._last_in_ms = 0
        self._last_out_ms = 0
        self._next_send_ms = 0

    # What the application calls

    @seldom
    def connect(self, now_ms):
        """Begin, or begin again after `stop`."""
        self._failures = 0
        self._open(now_ms)

    @seldom
    def stop(self):
        """Say goodbye and stay away; what is unacknowledged goes back to the outbox."""
        if self.state == UP:
            self.transport.disconnect()
        elif self.state == CONNECTING:
            self.transport.close()
        self._recall()
        self.state = STOPPED

    @seldom
    def offline(self, reason):
        """The network is gone: what is unacknowledged goes back to the outbox until `connect`."""
        self.transport.close()
        if self.state in (CONNECTING, UP):
            self.reconnects += 1
            self.trouble = reason
            self.on_trouble(reason)
        self._recall()
        self.state = IDLE

    def room(self):
        """Whether a message given to `send` now would leave at once."""
        return (
            self.state == UP
            and len(self._flying) < self.policy.in_flight
            and not self._outbox.count
            and self.transport.writable
        )

    def idle(self):
        """Whether everything given to the link has arrived."""
        return not self._flying and not self._outbox.count

    def in_flight(self):
        """Number of unacknowledged messages."""
        return len(self._flying)

    def send(self, message, now_ms):
        """Send at once if there is room, else keep in the outbox."""
        if (
            self.state == UP
            and len(self._flying) < self.policy.in_flight
            and not self._outbox.count
            and now_ms >= self._next_send_ms
            and self.transport.writable
            and not self.policy.durable
        ):
            self._transmit(message, now_ms)
        else:
            self._outbox.put(message)

    def step(self, now_ms):
        """Do what is due. Returns the time of the next call at the latest."""
        state = self.state
        if state == UP:
            return self._step_up(now_ms)
        if state == CONNECTING:
            if now_ms < self._deadline_ms:
                return self._deadline_ms
            self.transport.close()
            self._fail("no answer to CONNECT within %d ms" % self.policy.connect_timeout_ms, now_ms)
            return self._deadline_ms
        if state == WAITING:
            if self._delay_ms:
                self._deadline_ms = now_ms + self._delay_ms
                self._delay_ms = 0
            if now_ms < self._deadline_ms:
                return self._deadline_ms
            self._open(now_ms)
            return self._deadline_ms
        return now_ms + FOREVER_MS

    # What the transport calls

    @seldom
    def on_open(self, session_present):  # noqa: ARG002 - part of the transport contract
        """CONNACK 0 arrived. Subscriptions are asked for even if a session is there: it costs one packet."""
        self.state = UP
        self.trouble = ""
        self._heard = True
        self._pinged = False
        self._suback_id = 0
        self._fresh = True  # times count from the next step, which comes right after an event
        if self._topics:
            self._suback_id = self._next_packet_id()
            self.transport.subscribe(self._topics, 1, self._suback_id)

    def on_pubacks(self, packet_ids):
        """A run of PUBACKs; unknown ids are ignored, as acknowledgements of an earlier connection can be."""
        self._heard = True
        flying = self._flying
        journal = self.journal
        outbox = self._outbox
        for packet_id in packet_ids:
            message = flying.pop(packet_id, None)
            if message is not None:
                if journal is not None:
                    journal.acknowledged(message)
                outbox.settle(message)
        self._failures = 0

    @seldom
    def on_suback(self, packet_id, codes):
        """The broker's answer to our subscriptions; a refused one is trouble but no reason to leave."""
        self._heard = True
        if packet_id == self._suback_id:
            self._suback_id = 0
            self._failures = 0
            if any(code > 1 for code in codes):
                self.on_trouble("the broker refused a subscription (SUBACK 0x80)")

    def on_message(self, topic, payload, retain):  # noqa: ARG002 - part of the transport contract
        """A message on a configuration topic."""
        self._heard = True
        self.on_config(topic, payload)

    def on_pong(self):
        """PINGRESP arrived."""
        self._heard = True
        self._pinged = False

    def on_closed(self, reason):
        """The connection is gone, or could not be made."""
        if self.state in (UP, CONNECTING):
            self._fail(reason, None)

    # Inside

    @seldom
    def _open(self, now_ms):
        self.state = CONNECTING
        self._deadline_ms = now_ms + self.policy.connect_timeout_ms
        self.transport.open()

    @seldom
    def _fail(self, reason, now_ms):
        self._recall()
        self.state = WAITING
        self.reconnects += 1
        policy = self.policy
        # Full range of the doubling is kept small by the cap on the exponent; half of it is jitter.
        delay = min(policy.backoff_max_ms, policy.backoff_min_ms << min(self._failures, 16))
        delay = int(delay * (0.5 + self._random() / 2))
        self._failures += 1
        # An event carries no time: the back-off then counts from the next step, which follows at once.
        self._delay_ms = delay if now_ms is None else 0
        self._deadline_ms = 0 if now_ms is None else now_ms + delay
        self.trouble = reason
        self.on_trouble(reason)

    @seldom
    def _recall(self):
        if self._flying:
            self._outbox.requeue(list(self._flying.values()))
            self._flying = new_ordered_dict()

    def _next_packet_id(self):
        packet_id = self._packet_id
        while True:
            packet_id = packet_id + 1 if packet_id < 65535 else 1
            if packet_id not in self._flying:
                self._packet_id = packet_id
                return packet_id

    def _transmit(self, message, now_ms):
        policy = self.policy
        message.attempts += 1
        message.sent_ms = now_ms
        self._last_out_ms = now_ms
        if policy.gap_ms:
            self._next_send_ms = max(self._next_send_ms, now_ms - policy.gap_ms) + policy.gap_ms
        journal = self.journal
        if policy.qos:
            # Noted before anything that needs memory: what then fails is sent again when no PUBACK comes.
            packet_id = self._next_packet_id()
            self._flying[packet_id] = message
        if journal is not None:
            journal.sent(message)
        if policy.qos:
            self.transport.publish(message.topic, message.payload, 1, packet_id, message.attempts > 1)
        else:
            self.transport.publish(message.topic, message.payload, 0, 0, False)  # nobody answers
            self._outbox.settle(message)

    def _step_up(self, now_ms):
        policy = self.policy
        if self._fresh:
            self._fresh = False
            self._last_out_ms = self._last_in_ms = now_ms
            self._ack_deadline_ms = now_ms + policy.ack_timeout_ms
        if self._heard:
            self._heard = False
            self._last_in_ms = now_ms
        flying = self._flying
        wake_ms = now_ms + FOREVER_MS
        # A deadline that passed means the connection is dead, whatever TCP thinks.
        if self._suback_id:
            if now_ms >= self._ack_deadline_ms:
                return self._give_up("no SUBACK within %d ms" % policy.ack_timeout_ms, now_ms)
            wake_ms = self._ack_deadline_ms
        if flying:
            deadline_ms = next(iter(flying.values())).sent_ms + policy.ack_timeout_ms
            if now_ms >= deadline_ms:
                return self._give_up("no PUBACK within %d ms" % policy.ack_timeout_ms, now_ms)
            if deadline_ms < wake_ms:
                wake_ms = deadline_ms
        outbox = self._outbox
        if outbox.count:
            while outbox.count and len(flying) < policy.in_flight and self.transport.writable:
                if now_ms < self._next_send_ms:
                    wake_ms = min(wake_ms, self._next_send_ms)
                    break
                message = outbox.take()
                if message is not None:
                    try:
                        self._transmit(message, now_ms)
                    except MemoryError:
                        if message not in flying.values():
                            outbox.requeue([message])
                        raise
        # Silence either way: ping after half a keep-alive, so that 1.5 keep-alives are never reached.
        half_ms = policy.keep_alive_ms // 2
        if self._pinged:
            quiet_ms = self._ping_ms + half_ms
            if now_ms >= quiet_ms:
                return self._give_up("no PINGRESP within %d ms" % half_ms, now_ms)
        else:
            quiet_ms = min(self._last_in_ms, self._last_out_ms) + half_ms
            if now_ms >= quiet_ms:
                self.transport.ping()
                self._pinged = True
                self._ping_ms = self._last_out_ms = now_ms
                quiet_ms = now_ms + half_ms
        return quiet_ms if quiet_ms < wake_ms else wake_ms

    @seldom
    def _give_up(self, reason, now_ms):
        self.transport.close()
        self._fail(reason, now_ms)
        return self._deadline_ms
