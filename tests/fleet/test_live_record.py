"""The live record of a run: bounded, whole at any moment; only the run's own process is ever stopped."""

import fcntl
import json
import os
import subprocess
import sys

import pytest

from buoyfleet.model.errors import UsageError
from buoyfleet.runs.live import FILE_NAME, LiveRecord, read_live, runs_under_way, stop_run
from buoyfleet.runs.run_state import LOCK


def moment(**changes):
    counts = {"phase": "send", "elapsed_s": 1.0, "boards": 3, "planned": 10, "sent": 5, "acknowledged": 4}
    return {**counts, **changes}


def test_what_is_written_is_read_again(tmp_path):
    record = LiveRecord(tmp_path, [100, 101, 107])
    record.note(moment(), "oo!")
    live = read_live(tmp_path)
    assert (live.pid, live.sent, live.states) == (os.getpid(), 5, "oo!")
    assert live.board_ids() == [100, 101, 107]
    assert not record.due("send")
    assert record.due("drain")


def test_rate_and_latency_are_those_of_the_last_seconds(tmp_path):
    record = LiveRecord(tmp_path, [1])
    assert read_live(tmp_path) is None
    for second in range(20):
        sent = second if second < 10 else 10 + 100 * (second - 10)
        record.note(moment(elapsed_s=float(second), sent=sent, acknowledged=max(0, sent - 20)), "o")
    live = read_live(tmp_path)
    assert live.rate == pytest.approx(100)
    # Little's law: 20 on their way at 100/s.
    assert live.ack_latency_s == pytest.approx(0.2)


def test_its_size_does_not_grow_with_messages_or_time(tmp_path):
    record = LiveRecord(tmp_path, range(10_000))
    for second in range(500):
        record.note(moment(elapsed_s=float(second), sent=10**9, acknowledged=10**9), "o" * 10_000)
    assert (tmp_path / FILE_NAME).stat().st_size < 25_000


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1}', "\x00"])
def test_a_damaged_record_is_none(tmp_path, text):
    (tmp_path / FILE_NAME).write_text(text)
    assert read_live(tmp_path) is None


@pytest.fixture
def other():
    """A process that ends with 7 at Ctrl-C."""
    code = (
        "import signal, sys\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\nsignal.pause()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def a_run(folder, process, **changes):
    """A folder as a run of that process leaves it; returns the lock that says it lives."""
    LiveRecord(folder, [1]).note(moment(), "o")
    from buoyfleet.runs.live import _born

    document = json.loads((folder / FILE_NAME).read_text())
    document |= {"pid": process.pid, "born": _born(process.pid), **changes}
    (folder / FILE_NAME).write_text(json.dumps(document))
    lock = (folder / LOCK).open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def test_stopping_sends_the_runs_own_process_what_ctrl_c_sends(tmp_path, other):
    folder = tmp_path / "run"
    folder.mkdir()
    with a_run(folder, other):
        assert runs_under_way(tmp_path) == [folder]
        stop_run(folder)
        assert other.wait(100) == 7


@pytest.mark.parametrize(
    ("changes", "message"), [({"born": "another"}, "left alone"), ({"stopping": True}, "stopping already")]
)
def test_a_process_that_is_not_for_sure_the_runs_is_left_alone(tmp_path, other, changes, message):
    with a_run(tmp_path, other, **changes), pytest.raises(UsageError, match=message):
        stop_run(tmp_path)
    assert other.poll() is None


def test_a_run_that_is_over_is_not_stopped(tmp_path, other):
    a_run(tmp_path, other).close()
    with pytest.raises(UsageError, match="not under way"):
        stop_run(tmp_path)
    assert other.poll() is None
