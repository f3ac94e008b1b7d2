"""A board fed random bytes on every input goes on stepping, publishes, and answers `identify`."""

import contextlib
import gc
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

PORTABLE = Path(__file__).resolve().parent.parent / "portable"
# fmt: off
WORDS = [
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\n", b"\r\n", b"@buoy ", b"NaN", b"1e999", b"-1",
    b"true", b"null", b'"id"', b'"do"', b'"set"', b'"settings"', b'"sensors"', b'"ph"', b'"reset"',
    b'"disable"', b'"time-interval"', b'"publish-time-interval"', b"\x00", b"\xff", b"9" * 400, b"\\ud800",
    b'{"a":' * 40,
]
# fmt: on
NOISE = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(WORDS), max_size=60).map(b"".join))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
# Reset, shutdown and low power may end what the board does: they are tests of their own.
GLOBAL = st.sampled_from(["publish-time-interval", "unit", "ph", "x"])
FIELDS = st.sampled_from(["time-interval", "unit", "average-value", "average-time-interval", "disable"])
OF_A_SENSOR = st.dictionaries(FIELDS, JSON, max_size=3) | JSON
SENSOR = st.dictionaries(st.sampled_from(["ph", "do", "x"]), OF_A_SENSOR, max_size=2)
CONFIG = st.one_of(
    NOISE, (st.dictionaries(GLOBAL, JSON, max_size=3) | SENSOR).map(lambda body: json.dumps(body).encode())
)
PREFIX = b"aws/0/128/config/"
TOPICS = st.sampled_from([PREFIX + b"global/", PREFIX + b"sensor/", PREFIX + b"console/", b"x"])
SECTIONS = ["sensors", "pins", "power", "calibration", "qos", "broker_host", "topic_prefix", "version"]
SETTINGS = st.dictionaries(
    st.sampled_from(SECTIONS),
    JSON | SENSOR | st.dictionaries(st.sampled_from(["do", "temp", "ph_tx", "x"]), JSON, max_size=3),
    max_size=4,
)


@contextlib.contextmanager
def world() -> Iterator[Any]:
    """The portable tests' board, in an empty folder."""
    gc.freeze()  # a board collects at its start: not all that pytest holds, each time
    sys.path.insert(0, str(PORTABLE))
    before = os.getcwd()
    try:
        from test_buoy_board import World

        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            yield World()
    finally:
        os.chdir(before)
        gc.unfreeze()
        sys.path.remove(str(PORTABLE))


def goes_on(found: Any) -> None:
    """It steps without a restart, publishes its next message and answers."""
    assert found.calls == []
    found.transport.published.clear()
    found.board.app.schedule.change_interval(1000, found.now_ms)
    found.run(2100)
    assert found.data() or found.board.app.sampler.take(1, 1 << 40)[0] == (), "nothing is published any more"
    assert found.ask("identify")["ok"]["buoy"] == 128
    assert found.calls == []


FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(messages=st.lists(st.tuples(TOPICS, CONFIG), max_size=6), noise=st.lists(NOISE, max_size=6))
@FEW
def test_random_configurations_and_console_noise_stop_no_board(
    messages: list[tuple[bytes, bytes]], noise: list[bytes]
) -> None:
    with world() as found:
        found.boot()
        found.connect()
        found.run(100)
        for topic, payload in messages:
            found.board.link.on_message(topic, payload, True)
            found.run(40)
        for data in noise:
            found.inbox = data
            found.run(40)
        found.inbox = b"\n"
        found.run(40)
        goes_on(found)


@given(data=st.one_of(NOISE, SETTINGS.map(lambda body: json.dumps(body).encode())))
@FEW
def test_random_settings_leave_a_board_that_answers(data: bytes) -> None:
    with world() as found:
        good = Path("settings.json").read_bytes()
        for last in (good, data):
            Path("settings.json").write_bytes(data)
            Path("settings.last.json").write_bytes(last)
            board = found.boot()
            assert found.ask("identify")["ok"]["buoy"] == 128
            assert last is data or board.app is not None or board.trouble == ""
            found.run(500)
            assert found.calls == []


@pytest.mark.parametrize("kind", ["settings.json", "outbox/500000.out", "outbox/x.out", "ezo-ph.open"])
def test_garbage_in_any_file_leaves_a_board_that_answers(kind: str) -> None:
    with world() as found:
        Path(kind).parent.mkdir(exist_ok=True)
        for data in (b"", b"\x00" * 500, bytes(range(256)) * 8, b"[" * 3000, b"\xb1" * 900):
            Path(kind).write_bytes(data)
            found.boot()
            assert found.ask("identify")["ok"]["buoy"] == 128
            found.run(500)
            assert found.calls == []
