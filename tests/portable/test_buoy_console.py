"""The console: every request is answered once, whatever else comes over the line."""

import json

from buoy import console as module
from buoy.console import (
    BUSY,
    FAILED,
    INVALID,
    LATER,
    MARKER,
    PIECE_BYTES,
    UNKNOWN_COMMAND,
    Console,
    Refused,
    checked,
    sealed,
)
from buoy.journal import EventJournal
from buoy.message import Message
from buoy.shims import new_random


def refuse(_request):
    raise Refused("not now", BUSY)


def make():
    return Console({"echo": lambda request: request.get("value"), "no": refuse, "later": lambda _r: LATER})


def request(request_id, do, **more):
    body = {"id": request_id, "do": do}
    body.update(more)
    return MARKER + json.dumps(body).encode() + b"\n"


def taken(console):
    """All that is there, in the pieces that a board sends."""
    data = b""
    while True:
        piece = console.take()
        if not piece:
            return data
        assert len(piece) < 2 * PIECE_BYTES + 200
        data += piece


def answers(console):
    lines = taken(console).split(b"\r\n")
    return [json.loads(checked(line[len(MARKER) :])) for line in lines if line.startswith(MARKER)]


def test_a_request_is_answered_once_with_its_id():
    console = make()
    console.feed(request(7, "echo", value=[1, "x"]))
    assert answers(console) == [{"id": 7, "ok": [1, "x"]}]
    assert console.take() == b""


def test_a_request_may_come_byte_by_byte():
    console = make()
    for byte in request(1, "echo", value=2):
        console.feed(bytes((byte,)))
    assert answers(console) == [{"id": 1, "ok": 2}]


def test_what_cannot_be_followed_is_answered_with_the_reason():
    console = make()
    console.feed(request(1, "no") + request(2, "fly") + request(3, 5))
    first, second, third = answers(console)
    assert first == {"id": 1, "error": "not now", "code": BUSY}
    assert "echo" in second["error"]
    assert second["code"] == third["code"] == UNKNOWN_COMMAND
    assert third["id"] == 3


def test_a_refusal_has_a_code_whatever_was_raised():
    console = make()
    for number, error in enumerate(
        (Refused("no"), ValueError("bad"), OSError(28), OSError("full"), KeyError("x"))
    ):
        console.refuse(number, error)
    found = answers(console)
    assert [one["code"] for one in found] == [INVALID, INVALID, FAILED, FAILED, FAILED]
    assert [found[0]["error"], found[3]["error"]] == ["no", "full"]


def test_a_request_that_noise_has_changed_is_dropped():
    console = make()
    line = bytearray(MARKER + sealed(b'{"id": 1, "do": "echo", "value": 1883}') + b"\n")
    console.feed(bytes(line))
    assert answers(console) == [{"id": 1, "ok": 1883}]
    line[line.index(b"8")] ^= 1
    console.feed(bytes(line))
    assert answers(console) == []
    assert console.dropped_lines == 1


def test_a_handler_may_answer_later():
    console = make()
    console.feed(request(4, "later"))
    assert console.take() == b""
    console.answer(4, {"ph": 7.0})
    assert answers(console) == [{"id": 4, "ok": {"ph": 7.0}}]


def test_garbage_half_lines_and_long_lines_never_hide_the_next_request():
    for junk in (
        b"\x00\xff\xfe garbage\n",
        b"@buoy {\n",
        b'@buoy {"id": 1, "do": "echo"\n',
        b"@buoy []\n",
        b'@buoy {"do": "echo"}\n',
        b'@buoy {"id": true, "do": "echo"}\n',
        b"@buoy " + b"x" * (3 * module.MAX_LINE_BYTES) + b"\n",
        b"\r\n\r\n",
        b"\xf0\x9f",
    ):
        console = make()
        console.feed(junk)
        console.feed(request(9, "echo", value=1))
        assert answers(console) == [{"id": 9, "ok": 1}]


def test_random_noise_never_raises_nor_makes_the_line_buffer_grow():
    console = make()
    draw = new_random(3)
    alphabet = b'@buoy {}":,id\n\r\x00\xff17'
    for _ in range(400):
        console.feed(bytes([alphabet[int(draw() * len(alphabet))] for _ in range(20)]))
        assert len(console._line) <= module.MAX_LINE_BYTES
    taken(console)
    console.feed(b"\n" + request(1, "echo", value=0))
    assert answers(console) == [{"id": 1, "ok": 0}]


def test_log_lines_are_one_line_and_no_answers():
    console = make()
    console.log('trouble\n@buoy {"id": 1, "ok": 1}')
    console.log("detail", "debug")
    text = taken(console)
    assert text.count(b"\n") == 1
    assert text.startswith(b"# info trouble")
    console.set_level("debug")
    console.log("detail", "debug")
    assert console.take() == b"# debug detail\r\n"


def test_lost_events_leave_a_gap_in_the_numbers():
    console = make()
    for _ in range(400):
        console.event({"what": "sent"})
    first = answers(console)
    assert console.dropped_events == 400 - len(first) > 0
    console.event({"what": "sent"})
    assert answers(console)[0]["n"] == 401


def test_answers_are_given_even_when_nobody_takes_the_events():
    console = make()
    for _ in range(400):
        console.event({"what": "sent"})
    console.feed(request(5, "echo", value=1))
    assert answers(console)[-1] == {"id": 5, "ok": 1}


def test_the_journal_tells_sequence_attempt_times_and_payload():
    console = make()
    journal = EventJournal(console, lambda ms: 1790000000000 + ms, lambda: 50)
    message = Message(3, b"t", b'{"ph":7.00}', 40)
    message.attempts = 2
    journal.sent(message)
    journal.acknowledged(message)
    journal.dropped(message, "outbox full")
    journal.sent(Message(-1, b"e", b"{}", 0))
    sent, acknowledged, dropped = [answer["event"] for answer in answers(console)]
    assert sent == {
        "what": "sent",
        "seq": 3,
        "attempt": 2,
        "time": 1790000000050,
        "planned": 1790000000040,
        "payload": '{"ph":7.00}',
    }
    assert (acknowledged["what"], acknowledged["seq"]) == ("acknowledged", 3)
    assert dropped["reason"] == "outbox full"


def test_an_answer_is_made_in_pieces_and_is_one_line():
    written = []
    value = {"a%d" % n: {"b": [1.5, "x" * 50, None], "c": {}, "d": {"e": n}} for n in range(60)}
    console = Console({"all": lambda _request: value}, overflow=written.append)
    console.feed(request(3, "all"))
    written.append(taken(console))
    assert max([len(piece) for piece in written]) < 2 * PIECE_BYTES
    lines = b"".join(written).split(b"\r\n")
    assert len(lines) == 2
    assert json.loads(checked(lines[0][len(MARKER) :])) == {"id": 3, "ok": value}
