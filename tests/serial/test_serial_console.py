"""The console client: every request ends in its answer or an error, whatever else comes over the line."""

import itertools
import json
import os
import queue
import threading

import pytest
from buoy.console import MARKER, sealed
from hypothesis import given
from hypothesis import strategies as st
from scripted_board import ScriptedBoard, ok, refused

from buoyfleet.model.errors import BoardError
from buoyfleet.serial.console import Console
from buoyfleet.serial.events import EventCounter, ranges_of
from buoyfleet.serial.lines import LineSplitter, parse_line, visible
from buoyfleet.serial.probe import probe
from buoyfleet.serial.records import BoardEvent, EventsLost, Line, PortChange

WAIT_S = 60.0


@pytest.fixture
def board(tmp_path):
    scripted = ScriptedBoard(tmp_path / "ttyUSB0")
    yield scripted
    if scripted.path.is_symlink():
        scripted.unplug()


@pytest.fixture
def console(board):
    with Console(str(board.path), purpose="test") as opened:
        yield opened


def listen(console, *kinds):
    heard = queue.Queue()
    console.add_listener(lambda record: heard.put(record) if isinstance(record, kinds) else None)
    return heard


def test_an_answer_finds_its_request_among_text_noise_and_other_answers(board, console):
    board.answer = lambda request: (
        b"\xff\xfe# info half a"
        + b"\r\n"
        + ok({"id": request["id"] + 1000}, "not yours")
        + b"@buoy {broken\r\n\x00\x1b[0m"
        + ok(request, {"uptime_ms": 5})
    )
    assert console.request("health") == {"uptime_ms": 5}


def test_answers_may_come_in_another_order_than_the_requests(board, console):
    held = []

    def answer(request):
        held.append(request)
        return b"".join(ok(one, one["do"]) for one in reversed(held)) if len(held) == 8 else None

    board.answer = answer
    got = {}
    threads = [
        threading.Thread(target=lambda n=n: got.update({n: console.request(f"do-{n}", WAIT_S)}))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert got == {n: f"do-{n}" for n in range(8)}


def test_a_refusal_and_a_silence_are_errors_that_name_the_port_and_the_command(board, console):
    board.answer = lambda request: refused(request, "not now")
    with pytest.raises(BoardError, match="run: not now") as refusal:
        console.request("run")
    assert refusal.value.where == str(board.path)
    board.answer = lambda _request: b"MicroPython v1.25\r\n>>> "
    with pytest.raises(BoardError, match=r"health: no answer within 0.2 s; it said last: >>>") as silence:
        console.request("health", 0.2)
    assert "REPL" in silence.value.cause


def test_what_may_be_done_twice_is_asked_again(board, console):
    board.answer = lambda request: ok(request, 1) if len(board.requests) == 3 else None
    assert console.request("get", 0.1, tries=3) == 1


def a_try_late(board):
    """Each request is answered when the next one has come."""
    asked = []

    def answer(request):
        asked.append(request)
        return ok(asked[-2], {"mac": "240ac4000080", "buoy": 7}) if len(asked) > 1 else None

    board.answer = answer
    return asked


def test_a_board_that_answers_each_try_too_late_is_understood(board, console):
    asked = a_try_late(board)
    found = console.exchange("health", 0.3, tries=4)
    assert found.value["buoy"] == 7
    assert len(asked) == 2
    assert found.received_ns - found.sent_ns > 0.2e9, "it is the answer to the first try"
    assert console.wait_until_ready(WAIT_S)["buoy"] == 7


def test_a_late_answer_to_whoever_had_the_port_before_is_not_taken_for_ours(board, console):
    """As `buoy commission` does: a look at the port, then a console on it."""
    asked = []
    board.answer = lambda request: asked.append(request)
    with pytest.raises(BoardError):
        console.request("identify", 0.1, tries=3)
    console.close()
    early = list(asked)

    def answer(request):
        for late in early:
            board.say(ok(late, "who the board is"))
        return ok(request, "a hash")

    board.answer = answer
    with Console(str(board.path)) as ours:
        assert ours.request("hash", WAIT_S) == "a hash"


def test_a_look_at_a_port_understands_it_too(board):
    a_try_late(board)
    found = probe(str(board.path))
    assert (found.state, found.buoy) == ("firmware", 7)


def test_a_gap_in_the_numbers_of_events_is_a_loss_and_a_reset_is_none(board, console):
    heard = listen(console, BoardEvent, EventsLost)
    for number in (4, 5, 8, 1, 2):
        board.tell(number, what="sent", seq=number)
    got = [heard.get(timeout=WAIT_S) for _ in range(6)]
    assert [r.number if isinstance(r, BoardEvent) else -r.count for r in got] == [4, 5, -2, 8, 1, 2]
    assert got[0].body == {"what": "sent", "seq": 4}


def test_the_loss_of_the_last_events_shows_in_the_next_answer(board, console):
    heard = listen(console, EventsLost)
    board.tell(1)
    board.answer = lambda request: ok(request, {"events": 4})
    console.request("health")
    assert heard.get(timeout=WAIT_S).count == 3
    console.request("health")
    assert heard.empty()


def test_listeners_get_whole_lines_with_their_time(board, console):
    heard = listen(console, Line)
    before = console.clock.utc_ns()
    board.say(b"# info one\r")
    board.say(b"\n# info t")
    board.say(b"wo\x07\n")
    lines = [heard.get(timeout=WAIT_S) for _ in range(2)]
    assert [line.data for line in lines] == [b"# info one", b"# info two\x07"]
    assert before <= lines[0].at_ns <= lines[1].at_ns <= console.clock.utc_ns()


def test_a_port_that_comes_back_is_opened_again_and_who_waited_is_told(board, console):
    changes = listen(console, PortChange)
    board.answer = lambda _request: None
    failed = queue.Queue()

    def ask():
        try:
            console.request("health", WAIT_S)
        except BoardError as error:
            failed.put(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not board.requests:
        pass
    board.unplug()
    assert "the port is gone" in str(failed.get(timeout=WAIT_S))
    assert not changes.get(timeout=WAIT_S).is_open
    with pytest.raises(BoardError, match="gone"):
        console.request("health", 0.1)
    board.answer = lambda request: ok(request, "back")
    board.replug()
    assert console.request("health", WAIT_S) == "back"
    assert changes.get(timeout=WAIT_S).is_open
    thread.join(WAIT_S)


def test_restart_waits_for_another_start_than_the_one_that_ends(board, console):
    boots = iter([7, 7, 7, 8])
    board.answer = lambda request: (
        ok(request, 7) if request["do"] == "reboot" else ok(request, {"boot": next(boots)})
    )
    assert console.restart(WAIT_S) == {"boot": 8}


def test_a_released_port_is_free_for_another_program_and_then_goes_on(console):
    with console.released() as port:
        descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
        os.close(descriptor)
        with pytest.raises(BoardError, match="another program"):
            console.request("health", 0.1)
    assert console.request("health", WAIT_S) == "health"


def test_a_request_that_no_board_could_take_is_not_sent(board, console):
    with pytest.raises(BoardError, match="a board takes 2048"):
        console.request("set", settings={"text": "x" * 3000})
    assert board.requests == []


def test_closing_frees_whoever_waits(board, console):
    board.answer = lambda _request: None
    timer = threading.Timer(0.2, console.close)
    timer.start()
    with pytest.raises(BoardError, match="closed"):
        console.request("health", 60.0)
    timer.join()


def test_a_listener_that_fails_is_not_hidden(console, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _args: None)
    console.add_listener(lambda _record: 1 / 0)
    with pytest.raises((BoardError, RuntimeError), match="listener"):
        console.request("health", WAIT_S)
    with pytest.raises(RuntimeError, match="listener"):
        console.request("health", WAIT_S)


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=20))
def test_lines_do_not_depend_on_how_the_bytes_arrive(data, sizes):
    whole = LineSplitter().feed(data + b"\n")
    splitter, pieces, rest = LineSplitter(), [], data + b"\n"
    for size in sizes:
        pieces += splitter.feed(rest[:size])
        rest = rest[size:]
    assert pieces + splitter.feed(rest) == whole


@given(st.binary(max_size=200))
def test_no_bytes_make_parsing_or_showing_fail(data):
    parse_line(b"@buoy " + data)
    assert visible(data).isprintable() or "\t" in visible(data)


@given(st.dictionaries(st.text(max_size=5), st.integers()), st.integers(0, 1 << 31))
def test_what_the_board_says_is_read_back(body, number):
    line = b"noise@buoy " + sealed(json.dumps({"n": number, "event": body}).encode())
    event = parse_line(line)
    assert (event.number, event.body) == (number, body)


@given(st.integers(7, 10_000), st.integers(0, 7))
def test_one_changed_bit_makes_a_line_text(at, bit):
    line = bytearray(b"@buoy " + sealed(b'{"n": 7, "event": {"what": "sent", "payload": "{\\"do\\":7.25}"}}'))
    line[7 + at % (len(line) - 7)] ^= 1 << bit
    assert parse_line(bytes(line)) is None


@given(st.lists(st.booleans(), max_size=60))
def test_every_lost_event_is_counted_once(came):
    counter = EventCounter()
    counter.told(0)
    lost = sum(counter.came(number) for number, there in enumerate(came, 1) if there)
    assert lost + counter.told(len(came)) == came.count(False)


@given(st.sets(st.integers(1, 300)))
def test_runs_of_numbers_hold_each_number_once(numbers):
    runs = ranges_of(numbers)
    assert [n for first, last in runs for n in range(first, last + 1)] == sorted(numbers)
    assert all(later[0] > earlier[1] + 1 for earlier, later in itertools.pairwise(runs))


def test_what_never_came_is_told_again_on_request_and_in_pieces(board, console):
    heard = listen(console, BoardEvent)
    kept = {number: {"what": "sent", "seq": number} for number in range(1, 60)}
    for number in (1, 2, 50):
        board.tell(number, **kept[number])

    def answer(request):
        if request["do"] != "tell":
            return ok(request, {"events": 55})
        wanted = [n for n in range(request["first"], request["last"] + 1) if n != 30][:20]
        lines = [sealed(json.dumps({"n": n, "event": kept[n]}).encode()) for n in wanted]
        return b"".join(b"@buoy " + line + b"\r\n" for line in lines) + ok(request, {"told": wanted})

    board.answer = answer
    console.request("health")
    assert console.missing_events == 47 + 5
    # 30 is kept by nobody any more: what it asks for ends there, and what lies behind was told before.
    console.recover_events()
    assert console.missing_events == 1
    got = [heard.get(timeout=WAIT_S).number for _ in range(54)]
    assert sorted(got) == [n for n in range(1, 56) if n != 30]


def test_a_board_that_says_that_it_connects_is_waited_for(board, console):
    """A TLS handshake takes seconds, in which the board does not listen."""
    board.answer = lambda _request: sealed_line({"busy_ms": 20000})
    answered = threading.Timer(0.6, lambda: board.say(ok(board.requests[-1], "late")))
    answered.start()
    assert console.request("health", 0.3) == "late"
    answered.join()


def test_a_board_that_is_silent_after_it_has_connected_is_silent(board, console):
    board.answer = lambda _request: sealed_line({"busy_ms": 20000}) + b"# info connected\r\n"
    with pytest.raises(BoardError, match="no answer within"):
        console.request("health", 0.3)


def sealed_line(body):
    return MARKER + sealed(json.dumps(body).encode()) + b"\r\n"
