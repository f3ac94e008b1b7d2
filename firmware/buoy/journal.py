"""What a board tells its bench of a test plan's messages; in memory only while one is under way."""


class EventJournal:
    """The journal of a link on a board with a cable: what was published, told over the console.

    Times are integer ms since 1970. `payload` is the text as it was sent; an acknowledgement repeats only the
    number.
    """

    def __init__(self, console, utc_ms, now_ms):
        self._console = console
        self._utc_ms = utc_ms
        self._now_ms = now_ms

    def sent(self, message):
        """Before the bytes leave."""
        if message.seq >= 0:
            body = self._body("sent", message)
            body["planned"] = self._utc_ms(message.planned_ms)
            body["payload"] = message.payload.decode()
            self._console.event(body)

    def acknowledged(self, message):
        """PUBACK arrived."""
        if message.seq >= 0:
            self._console.event(self._body("acknowledged", message))

    def dropped(self, message, reason):
        """An outbox gave the message up: its `on_drop`."""
        if message.seq >= 0:
            body = self._body("dropped", message)
            body["reason"] = reason
            self._console.event(body)

    def _body(self, what, message):
        return {
            "what": what,
            "seq": message.seq,
            "attempt": message.attempts,
            "time": self._utc_ms(self._now_ms()),
        }
