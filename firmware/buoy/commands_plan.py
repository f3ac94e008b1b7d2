"""Console: a test plan's start and end, and events told again."""

from buoy.commands import whole
from buoy.console import BUSY, NO_TIME, NOT_RUNNING, Refused
from buoy.identity import RUN_MARK
from buoy.shims import keep_last

_MOST_TOLD = 20  # events told again for one request


def do_run(board, request):
    from buoy.schedule import planned

    if board.app is None:
        raise Refused("no application runs: maintenance, or not commissioned", NOT_RUNNING)
    if not board.clock.known():
        raise Refused("the time is not known; clock with utc sets it", NO_TIME)
    first = whole(request, "first", 0, 1 << 30) if "first" in request else 0
    start_utc_ms = whole(request, "start", 0, 1 << 52)
    if board.app.schedule is not None and board.plan_start == start_utc_ms:
        # Asked again, because the answer was lost: no number is given to two messages.
        first = max(first, board.app.schedule.seq)
    elif not first and not board.link.idle():
        # Their numbers would pass for those of the plan.
        raise Refused("messages from before are on their way; ask again", BUSY)
    start_ms = board.clock.local_ms(start_utc_ms)
    interval_us = count = end_ms = None
    if request.get("interval_us") is not None:
        interval_us = whole(request, "interval_us", 1000, 2678400000000)
    if request.get("count") is not None:
        count = whole(request, "count", 1, 10000000)
    if request.get("end") is not None:
        end_ms = board.clock.local_ms(whole(request, "end", 0, 1 << 52))
    if count is None and end_ms is None:
        raise Refused("count or end is needed")
    board.identity.set(RUN_MARK, "1")
    board.plan_start = start_utc_ms
    if request.get("durable") is True and (board.console.ring is None or not first):
        from buoy.event_ring import keep_events

        keep_events(board.console, True)
    board.tell_messages(True)
    if not first:
        # Who watches this plan has not seen what was wrong before it.
        board.app.sampler.tell_again()
    # Every message then goes through the outbox on flash.
    keep_last(request.get("durable") is True)
    board.link.policy.durable = request.get("durable") is True
    schedule = board.app.schedule = planned(start_ms, interval_us, count, end_ms, first)
    return {"starts_in_ms": schedule.due_ms - board.clock.now_ms(), "events": board.console.events}


def do_stop(board, request):
    app = board.app
    left = None
    if app is not None and app.schedule is not None:
        left = app.schedule.left()
        app.schedule = None
    if request.get("give_up") is True and board.journal is not None:
        board.outbox.clear("not sent before the run ended")
    if request.get("end") is True:
        board.tell_messages(False)
        keep_last(False)
        board.identity.set(RUN_MARK, "")
        if board.console.ring is not None:
            board.console.ring.clear()
            board.console.ring = None
    return {"left": left}


def do_tell(board, request, console=None, most=_MOST_TOLD):
    console = console or board.console
    first = whole(request, "first", 1, 1 << 30)
    last = whole(request, "last", first, 1 << 30)
    numbers = []
    if board.console.ring is not None:
        for number, text in board.console.ring.events(first, last):
            console.tell(number, text)
            numbers.append(number)
            if len(numbers) >= most:
                break
    return {"told": numbers}
