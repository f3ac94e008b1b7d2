"""The console over MQTT, for a board without a cable: it only tells, and changes nothing.

Requests come on `<prefix>/<id>/config/console/`, in the lines of the serial console; its lines leave on
`<prefix>/<id>/error/console/`. Nothing is retained, acknowledged or kept:
whoever misses an answer asks again.
"""

from buoy.console import Console

_MOST_TOLD = 4  # events for one request: the answer is one packet, made in memory


class RemoteConsole:
    """Made at the first request; `board` is the whole of it, `topic` where answers leave."""

    def __init__(self, board, topic):
        handlers = board.console.handlers
        self._transport = board.link.transport
        self._topic = topic
        self._console = Console(
            {
                "identify": handlers.get("identify"),
                "tell": lambda request: handlers.get("tell")(request, self._console, _MOST_TOLD),
            }
        )

    def feed(self, data):
        """A message that came; the answers leave with the next flush of the transport."""
        self._console.feed(data)
        lines = []
        while True:
            piece = self._console.take()
            if not piece:
                break
            lines.append(piece)
        if lines:
            self._transport.publish(self._topic, b"".join(lines), 0, 0, False)
