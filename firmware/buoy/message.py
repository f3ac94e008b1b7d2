"""One data or error message on its way from a buoy."""


class Message:
    """Made once, sent as often as needed, always with the same bytes."""

    __slots__ = ("attempts", "payload", "place", "planned_ms", "sent_ms", "seq", "topic")

    def __init__(self, seq, topic, payload, planned_ms):
        self.seq = seq  # number of the data message on its board, from 0; -1: not of the plan (errors)
        self.topic = topic  # bytes
        self.payload = payload  # bytes
        self.planned_ms = planned_ms  # by the application's clock
        self.attempts = 0
        self.sent_ms = 0  # of the last attempt
        self.place = None  # where an outbox on flash keeps it
