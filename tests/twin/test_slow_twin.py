"""A twin that is slow, or that loses the connection of its run: waited for, connected again, found."""

import asyncio
import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from buoyfleet.cloud.local import running, target
from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.cloud.local.control_client import ControlClient
from buoyfleet.cloud.local.folders import RECORDS_WHOLE
from buoyfleet.cloud.local.left_files import ADDRESS_FILE, note_address
from buoyfleet.cloud.local.pipeline import Pipeline
from buoyfleet.cloud.local.target import LocalTarget
from buoyfleet.cloud.local.twin import Twin
from buoyfleet.model.errors import TargetError
from buoyfleet.model.fleet import TargetSpec

Answer = dict[str, Any]


class Channel:
    """A control channel (buoyfleet.cloud.local.control) with no twin behind it."""

    def __init__(self, answer: Answer | None) -> None:
        self._answer = answer
        """None: it never answers."""
        self._open: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def hang_up(self) -> None:
        for writer in self._open:
            writer.close()

    def stop(self) -> None:
        self.hang_up()
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.append(writer)
        while line := await reader.readline():
            if self._answer is not None:
                writer.write(json.dumps({"id": json.loads(line)["id"], **self._answer}).encode() + b"\n")


def asked(
    tmp_path: Path, answer: Answer | None, use: Callable[[LocalTarget, Channel], Awaitable[Any]]
) -> Any:
    """What `use` returns, given a target and the channel of a twin that answers with `answer`."""

    async def main() -> Any:
        channel = Channel(answer)
        local = LocalTarget(TargetSpec("local"), tmp_path)
        local._control = ControlClient("127.0.0.1", await channel.start())
        await local._control.open(10)
        try:
            return await use(local, channel)
        finally:
            await local.stop()
            channel.stop()

    return asyncio.run(main())


THREE = {"received": 3, "stored": {"s3": 27}}


def test_a_connection_that_broke_is_made_again(tmp_path: Path) -> None:
    async def use(local: LocalTarget, channel: Channel) -> list[int]:
        first = (await local.counts()).received
        channel.hang_up()
        return [first, (await local.counts()).received]

    assert asked(tmp_path, THREE, use) == [3, 3]


def test_a_twin_whose_control_channel_is_gone_for_good_is_a_failed_target(tmp_path: Path) -> None:
    async def use(local: LocalTarget, channel: Channel) -> None:
        channel.stop()
        with pytest.raises(TargetError):
            await local.counts()

    asked(tmp_path, THREE, use)


def test_a_twin_that_never_answers_is_given_up_and_its_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "PATIENCE_S", 0.2)
    monkeypatch.setattr(target, "ANSWER_TIMEOUT_S", 0.2)

    async def use(local: LocalTarget, _channel: Channel) -> Any:
        with pytest.raises(TargetError, match="did not answer"):
            await local.counts()
        return await local.collect(tmp_path, 0, 1, frozenset({100}))

    found = asked(tmp_path, None, use)
    assert found.failure
    assert any("its files are used" in problem for problem in found.problems)
    assert found.stores == ("timestream", "s3")
    assert found.unrecorded  # what it had not written by then


def test_a_twin_that_ended_with_all_it_knew_on_the_disk_left_whole_records(tmp_path: Path) -> None:
    def folder(disk_full: bool) -> Path:
        return tmp_path / f"twin-{disk_full}"

    async def lived(disk_full: bool) -> str:
        twin = Twin(TwinConfig(folder=str(folder(disk_full)), port=0, control_port=0))
        await twin.start()
        if disk_full:
            twin._write = fail  # type: ignore[method-assign]
        request = {"since_ns": 0, "until_ns": 1, "buoys": [100], "run_folder": str(tmp_path / "run")}
        collected = await twin._collect(request, lambda _progress: None)
        await twin.close()
        return str(collected["unrecorded"])

    def fail(_stages: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x")

    assert asyncio.run(lived(disk_full=False)) == ""
    assert (folder(False) / "evidence" / RECORDS_WHOLE).exists()
    assert "No space left" in asyncio.run(lived(disk_full=True))
    assert not (folder(True) / "evidence" / RECORDS_WHOLE).exists()


class SlowLog:
    """Rows on a disk that takes its time."""

    def __init__(self) -> None:
        self.inside = threading.Semaphore(1)
        self.began, self.met, self.goes_on = threading.Event(), threading.Event(), threading.Event()

    def __len__(self) -> int:
        return 1

    def detach(self) -> None:
        pass

    def write(self) -> None:
        self.began.set()
        if not self.inside.acquire(blocking=False):
            self.met.set()
            return
        self.goes_on.wait(60)
        self.inside.release()


def test_a_writer_whose_task_was_cancelled_is_waited_for_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lived() -> tuple[str, bool]:
        twin = Twin(TwinConfig(folder=str(tmp_path / "twin"), port=0, control_port=0))
        log = SlowLog()
        monkeypatch.setattr(Pipeline, "logs", (log,))
        first = asyncio.create_task(twin._write_down())
        await asyncio.to_thread(log.began.wait, 60)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        second = asyncio.create_task(twin._write_down())
        met = await asyncio.to_thread(log.met.wait, 0.3)
        log.goes_on.set()
        return await second, met

    assert asyncio.run(lived()) == ("", False)


def test_the_twin_of_a_run_is_found_by_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_MODULE", "a.twin.of.this.test")
    command = [sys.executable, "-c", "input()", "a.twin.of.this.test", "twin-config.json"]
    process = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE)

    async def main() -> dict[str, str]:
        channel = Channel({"folder": "where it keeps its data"})
        port = await channel.start()
        ready = {"host": "127.0.0.1", "port": 1, "control_port": port, "pid": os.getpid(), "folder": "x"}
        note_address(tmp_path, ready)
        try:
            return await running.find_twins("127.0.0.1:1")
        finally:
            channel.stop()

    try:
        found = asyncio.run(main())
    finally:
        process.communicate(b"\n")
    port = json.loads((tmp_path / ADDRESS_FILE).read_text())["control_port"]
    assert found == {f"127.0.0.1:{port}": "where it keeps its data"}
