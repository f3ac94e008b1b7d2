"""Console: how the board is, and what time it has."""

import gc

from buoy.commands import whole
from buoy.console import Refused
from buoy.timekeeping import EARLIEST_MS, LATEST_MS

_GREW = 2000  # a further area has at least so many bytes
_ROOM = 40000  # of the IDF heap; a handshake takes 34,000


def do_health(board, _request):
    gc.collect()
    clock = board.clock
    console = board.console
    link = board.link
    outbox = board.outbox
    body = {
        "uptime_ms": clock.now_ms(),
        "boot": board.boot,
        "utc": clock.known(),
        "utc_age_ms": clock.age_ms(clock.now_ms()),
        "link": link.state if link else None,
        "reconnects": link.reconnects if link else 0,
        "wifi": bool(board.wifi and board.wifi.up),
        "outbox": outbox.count if outbox else 0,
        "last_seq": outbox.last_seq if outbox else -1,
        "idle": link.idle() if link else True,
        "dropped": outbox.dropped if outbox else 0,
        "damaged": outbox.damaged if outbox else 0,
        "write_failures": outbox.write_failures if outbox else 0,
        "events": console.events,
        "dropped_events": console.dropped_events,
        "dropped_lines": console.dropped_lines,
        "trouble": board.trouble,
        "link_trouble": link.trouble if link else "",
    }
    room = do_room(board)
    if room is not None:
        body["heap_free"] = gc.mem_free()
        body["heap_used"] = gc.mem_alloc()
        body["idf_free"], body["idf_largest"], body["heap_size"] = room
        body["idf_lowest"] = board.idf_lowest
    return body


def do_room(board):
    """(IDF heap free, its largest block, bytes of the Python heap); None where these are not known.

    Called after each try to connect too: a Python heap that grew by itself took what TLS needs, and only a
    soft reset gives it back.
    """
    esp32 = board.modules("esp32")
    if not hasattr(esp32, "idf_heap_info") or not hasattr(gc, "mem_alloc"):
        return None
    # (total, free, largest free block, least free ever) per region. The last counts the start too, when
    # nearly all of it was held for a moment.
    regions = esp32.idf_heap_info(esp32.HEAP_DATA)
    free = sum([region[1] for region in regions])
    largest = max([region[2] for region in regions])
    board.idf_lowest = min(free, board.idf_lowest or free)
    # The port counts as free what the heap could still take: without it, the areas that it has.
    size = gc.mem_alloc() + gc.mem_free() - largest
    link = board.link
    grew = size > board.heap_size + _GREW and free < _ROOM  # PSRAM has room for both
    if grew and link and link.trouble and link.reconnects > 2:
        board.console.log("the Python heap grew and TLS has no room: starts again", "warning")
        board.action = board.soft_reset
    return free, largest, size


def do_clock(board, request):
    now_ms = board.clock.now_ms()
    if "utc" in request:
        try:
            utc_ms = whole(request, "utc", EARLIEST_MS, LATEST_MS)
        except Refused as error:
            raise Refused("%s: ms from this firmware's date to 20 years after it" % error)  # noqa: B904
        board.set_time(utc_ms, now_ms)
    return {
        "ticks": now_ms,
        "utc": board.clock.utc_ms(now_ms) if board.clock.known() else None,
        "age_ms": board.clock.age_ms(now_ms),
    }
