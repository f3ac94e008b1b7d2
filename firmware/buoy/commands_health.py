"""Console: how the board is, and what time it has."""

import gc

from buoy.commands import whole
from buoy.console import Refused
from buoy.timekeeping import EARLIEST_MS, LATEST_MS


def do_health(board, _request):
    gc.collect()
    body = {
        "uptime_ms": board.clock.now_ms(),
        "boot": board.boot,
        "utc": board.clock.known(),
        "utc_age_ms": board.clock.age_ms(board.clock.now_ms()),
        "link": board.link.state if board.link else None,
        "reconnects": board.link.reconnects if board.link else 0,
        "wifi": bool(board.wifi and board.wifi.up),
        "outbox": board.outbox.count if board.outbox else 0,
        "last_seq": board.outbox.last_seq if board.outbox else -1,
        "idle": board.link.idle() if board.link else True,
        "dropped": board.outbox.dropped if board.outbox else 0,
        "damaged": board.outbox.damaged if board.outbox else 0,
        "write_failures": board.outbox.write_failures if board.outbox else 0,
        "events": board.console.events,
        "dropped_events": board.console.dropped_events,
        "dropped_lines": board.console.dropped_lines,
        "trouble": board.trouble,
        "link_trouble": board.link.trouble if board.link else "",
    }
    if hasattr(gc, "mem_free"):  # MicroPython
        body["heap_free"] = gc.mem_free()
        body["heap_used"] = gc.mem_alloc()
    esp32 = board.modules("esp32")
    if hasattr(esp32, "idf_heap_info"):
        # (total, free, largest free block, least free ever) per region, outside the Python heap
        regions = esp32.idf_heap_info(esp32.HEAP_DATA)
        body["idf_free"] = sum([region[1] for region in regions])
        body["idf_largest"] = max([region[2] for region in regions])
        body["idf_lowest"] = sum([region[3] for region in regions])
        if "heap_free" in body:
            # The port counts as free what the heap could still take: without it, the areas that it has. One
            # holds 56,030 bytes; more means that it grew, and took from TLS what never comes back.
            body["heap_size"] = body["heap_used"] + body["heap_free"] - body["idf_largest"]
    return body


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
