"""The witness: what it sees, how it spreads over connections, what it says when it was away."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from mqtt_certificates import Authority
from mqtt_support import Network, packets_of, run, says, serving

from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import TargetError
from buoyfleet.model.evidence import EVIDENCE_FOLDER, WITNESS_SCHEMA, WITNESS_STREAM
from buoyfleet.model.fleet import TlsSpec
from buoyfleet.model.observation import Blindness, read_observation
from buoyfleet.mqtt.codec import (
    PINGRESP,
    Connect,
    Pingreq,
    Subscribe,
    encode_connack,
    encode_publish,
    encode_suback,
)
from buoyfleet.mqtt.witness import MESSAGES_PER_CONNECTION, Witness


def endpoint(port: int) -> Endpoint:
    return Endpoint("127.0.0.1", port)


def table(folder: Path) -> pa.Table:
    with pa.OSFile(str(folder / EVIDENCE_FOLDER / WITNESS_STREAM)) as source:
        seen = pa.ipc.open_stream(source).read_all()
    assert seen.schema.equals(WITNESS_SCHEMA)
    return seen


def rows(folder: Path) -> list[tuple[int, bytes]]:
    seen = table(folder)
    return list(zip(seen["buoy"].to_pylist(), seen["payload"].to_pylist(), strict=True))


def total(witness: Witness) -> int:
    return sum(witness.seen.values())


@pytest.mark.parametrize("limit", [None, MESSAGES_PER_CONNECTION])
def test_every_data_message_of_the_fleet_is_on_record_and_nothing_else(
    limit: float | None, mosquitto: Any, tmp_path: Path
) -> None:
    prefix = f"aws/{0 if limit is None else 1}"
    buoys = range(100, 130)

    async def main() -> None:
        witness = Witness(prefix, dict.fromkeys(buoys, 10.0), folder=tmp_path, limit=limit)
        assert witness.connections == (1 if limit is None else 4)
        await witness.open(endpoint(mosquitto.port))
        async with Network("fleet", mosquitto.port) as network:
            for buoy in buoys:
                board = await network.board(f"buoy-{buoy}").opened()
                for number in range(1, 101):
                    board.publish(f"{prefix}/{buoy}/data/".encode(), b"%d" % number, number)
                for other in (f"{prefix}/{buoy}/error/", f"{prefix}/{buoy}/data", f"{prefix}/999/data/"):
                    board.publish(other.encode(), b"other")
                board.call("flush")
            for board in network.boards:
                await board.heard.until(lambda board=board: len(board.heard.acked) == 100)
            # At once after the last acknowledgement: closing itself waits for what is on its way.
            assert await witness.close() == []
        assert total(witness) == 3000

    run(main())
    wanted = [(buoy, b"%d" % number) for buoy in buoys for number in range(1, 101)]
    assert sorted(rows(tmp_path)) == sorted(wanted)
    times = table(tmp_path)["at_ns"].to_pylist()
    assert all(0 < time < 1 << 62 for time in times)


def test_a_broker_that_does_not_answer_at_the_end_leaves_the_whole_run_in_doubt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("buoyfleet.mqtt.witness._BARRIER_S", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for packet in packets_of(reader):
            if isinstance(packet, Connect):
                writer.write(encode_connack(False, 0))
            elif isinstance(packet, Subscribe):
                writer.write(encode_suback(packet.packet_id, b"\0"))
            elif isinstance(packet, Pingreq):
                # As a broker that is behind: something comes, and the answer to the ping does not.
                writer.write(encode_publish(b"aws/0/1/data/", b"queued"))

    async def main() -> list[str]:
        async with serving(serve) as port:
            witness = Witness("aws/0", {1: 1.0}, folder=tmp_path)
            await witness.open(endpoint(port))
            return await witness.close()

    (note,) = run(main())
    assert "did not answer a ping" in note
    (gap,) = read_observation(tmp_path / EVIDENCE_FOLDER, [1]).gaps
    (seen_ns,) = table(tmp_path)["at_ns"].to_pylist()
    assert (gap.reason, gap.until_ns) == (Blindness.BEHIND, 0)
    assert 0 < gap.since_ns < seen_ns  # what it has still may have been sent long before


def test_a_run_without_messages_leaves_an_empty_record(mosquitto: Any, tmp_path: Path) -> None:
    async def main() -> None:
        witness = Witness("aws/empty", {1: 1.0}, folder=tmp_path)
        await witness.open(endpoint(mosquitto.port))
        assert await witness.close() == []

    run(main())
    assert rows(tmp_path) == []


def test_closing_waits_for_what_the_broker_has_still_to_deliver(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for packet in packets_of(reader):
            if isinstance(packet, Connect):
                writer.write(encode_connack(False, 0))
            elif isinstance(packet, Subscribe):
                writer.write(encode_suback(packet.packet_id, b"\0"))
            elif isinstance(packet, Pingreq):
                # As a broker with a queue: messages it took earlier leave before the answer.
                writer.write(encode_publish(b"aws/0/1/data/", b"queued") * 500 + PINGRESP)

    async def main() -> None:
        async with serving(serve) as port:
            witness = Witness("aws/0", {1: 1.0}, folder=tmp_path)
            await witness.open(endpoint(port))
            await witness.close()

    run(main())
    assert rows(tmp_path) == [(1, b"queued")] * 500


def test_what_it_sees_reaches_the_disk_in_batches_while_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, mosquitto: Any, tmp_path: Path
) -> None:
    monkeypatch.setattr("buoyfleet.mqtt.witness._BATCH_ROWS", 7)

    async def main() -> None:
        witness = Witness("aws/batch", {5: None}, folder=tmp_path)
        await witness.open(endpoint(mosquitto.port))
        for number in range(100):
            witness.record(b"aws/batch/5/data/", b"%d" % number)
        # As after kill -9: the stream has no end yet.
        assert rows(tmp_path) == [(5, b"%d" % number) for number in range(98)]
        await witness.close()

    run(main())
    assert rows(tmp_path) == [(5, b"%d" % number) for number in range(100)]


def test_a_full_disk_ends_the_record_and_says_since_when(
    monkeypatch: pytest.MonkeyPatch, mosquitto: Any, tmp_path: Path
) -> None:
    async def main() -> list[str]:
        witness = Witness("aws/full", {5: None}, folder=tmp_path)
        await witness.open(endpoint(mosquitto.port))
        assert witness._stream is not None
        monkeypatch.setattr(witness._stream, "write", _no_room)
        witness.record(b"aws/full/5/data/", b"1")
        return await witness.close()

    (note,) = run(main())
    assert "could not be written: No space left on device" in note
    (gap,) = read_observation(tmp_path / EVIDENCE_FOLDER, [5]).gaps
    assert (gap.reason, gap.until_ns) == (Blindness.DISK_FULL, 0)


def test_copies_and_messages_of_others_do_not_end_the_wait_for_those_still_on_their_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        witness = Witness("aws/0", {100: 1.0, 101: 1.0})
        witness.seen.update({100: 7, 101: 5})
        monkeypatch.setattr("buoyfleet.mqtt.witness._QUIET_S", 600.0)
        await witness.settle({100: 7, 101: 5}, 600.0, proves=False)
        waiting = asyncio.ensure_future(witness.settle({100: 5, 101: 5}, 600.0, proves=False))
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        monkeypatch.setattr("buoyfleet.mqtt.witness._QUIET_S", -1.0)
        await asyncio.wait_for(waiting, 60)

    run(main())


def _no_room(_rows: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_retained_messages_are_older_than_the_run_and_not_on_record(mosquitto: Any, tmp_path: Path) -> None:
    async def main() -> None:
        keep = await asyncio.create_subprocess_exec(
            mosquitto.pub, "-p", str(mosquitto.port), "-t", "old/7/data/", "-r", "-m", "old"
        )
        assert await keep.wait() == 0
        witness = Witness("old", {7: 1.0}, folder=tmp_path)
        await witness.open(endpoint(mosquitto.port))
        await witness.close()

    run(main())
    assert rows(tmp_path) == []


@pytest.mark.parametrize(
    ("rates", "groups"),
    [
        ({number: 10.0 for number in range(1, 17)}, [8, 8]),
        (
            {number: 1.0 for number in range(1, 121)},
            [49, 49, 22],
        ),  # IoT Core: 50, one is for errors
        ({1: 79.0, 2: 2.0, 3: 1.0}, [1, 2]),
        ({1: None, 2: 1.0, 3: None}, [1, 1, 1]),
        ({}, []),
    ],
)
def test_buoys_are_spread_so_that_no_connection_carries_too_much(
    rates: dict[int, float | None], groups: list[int]
) -> None:
    witness = Witness("aws/0", rates, limit=80.0)
    assert [len(group) for group in witness._groups] == groups
    assert sorted(buoy for group in witness._groups for buoy in group) == sorted(rates)


def test_a_buoy_too_fast_for_one_connection_is_noted() -> None:
    witness = Witness("aws/0", {1: 1.0, 2: 200.0, 3: None}, limit=80.0)
    assert witness.notes == [
        "buoy 2 plans 200 messages/s; one connection of the witness may see only 80/s of it",
        "buoy 3 is not paced; one connection of the witness may see only 80/s of it",
    ]


def test_subscriptions_go_in_portions_and_all_must_be_granted_before_it_is_ready() -> None:
    portions: list[int] = []
    held: list[tuple[asyncio.StreamWriter, bytes]] = []
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for packet in packets_of(reader):
            if isinstance(packet, Connect):
                writer.write(encode_connack(False, 0))
            elif isinstance(packet, Subscribe) and b"/error/" not in packet.filters[0][0]:
                portions.append(len(packet.filters))
                held.append((writer, encode_suback(packet.packet_id, bytes(len(packet.filters)))))
                if sum(portions) == 20:
                    asked.set()

    async def main() -> None:
        async with serving(serve) as port:
            witness = Witness("aws/0", dict.fromkeys(range(20), 1.0), limit=80.0)
            opening = asyncio.ensure_future(witness.open(endpoint(port)))
            await asked.wait()
            assert portions == [8, 8, 4]
            for writer, suback in held[:2]:
                writer.write(suback)
            done, _ = await asyncio.wait([opening], timeout=0.1)
            assert not done
            held[2][0].write(held[2][1])
            await opening
            await witness._close_connections()

    run(main())


def test_a_broker_that_does_not_answer_is_a_target_error_that_says_what_to_type(free_port: int) -> None:
    async def main() -> None:
        async with serving(says(connack=False)) as port:
            with pytest.raises(TargetError, match=r"not subscribed within 0\.3 s") as silent:
                await Witness("aws/0", {1: 1.0}, ready_timeout_s=0.3).open(endpoint(port))
            assert "mosquitto_sub" in str(silent.value)
        with pytest.raises(TargetError, match="Connection refused"):
            await Witness("aws/0", {1: 1.0}, ready_timeout_s=0.3).open(endpoint(free_port))

    run(main())


def test_a_refused_subscription_is_a_target_error_and_on_record(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for packet in packets_of(reader):
            if isinstance(packet, Connect):
                writer.write(encode_connack(False, 0))
            elif isinstance(packet, Subscribe):
                writer.write(encode_suback(packet.packet_id, b"\x80"))

    async def main() -> None:
        async with serving(serve) as port:
            with pytest.raises(TargetError, match="refused the witness's subscription"):
                await Witness("aws/0", {1: 1.0}, folder=tmp_path).open(endpoint(port))

    run(main())
    never = read_observation(tmp_path / EVIDENCE_FOLDER, [1]).never_watched()
    assert never is not None
    assert never.reason == Blindness.SUBSCRIPTION_REFUSED


def test_unusable_tls_files_are_a_target_error(tmp_path: Path) -> None:
    async def main() -> None:
        tls = TlsSpec(str(tmp_path / "absent.pem"))
        with pytest.raises(TargetError, match="cannot use its TLS files"):
            await Witness("aws/0", {1: 1.0}).open(Endpoint("127.0.0.1", 1, tls))

    run(main())


def test_it_watches_over_mutual_tls(start_mosquitto: Callable[..., Any], tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    server, issued = authority.issue("broker.test"), authority.issue("witness")
    broker = start_mosquitto(
        [
            f"cafile {authority.ca}",
            f"certfile {server.certificate}",
            f"keyfile {server.key}",
            "require_certificate true",
        ]
    )
    files = [str(path).replace("witness.", "{thing}.") for path in (issued.certificate, issued.key)]

    async def main() -> None:
        tls = TlsSpec(str(authority.ca), *files, server_name="broker.test")
        witness = Witness("aws/0", {1: 1.0})
        await witness.open(Endpoint("127.0.0.1", broker.port, tls))
        assert await witness.close() == []

    run(main())


def test_a_lost_connection_is_made_again_and_noted(
    start_mosquitto: Callable[..., Any], tmp_path: Path
) -> None:
    broker = start_mosquitto()

    async def publish(payload: bytes) -> None:
        async with Network("fleet", broker.port) as network:
            board = await network.board("buoy-1").opened()
            board.publish(b"aws/0/1/data/", payload, 1)
            board.call("flush")
            await board.heard.event("pubacks")

    async def main() -> list[str]:
        witness = Witness("aws/0", {1: 1.0}, folder=tmp_path)
        await witness.open(endpoint(broker.port))
        await publish(b"before")
        while total(witness) < 1:
            await asyncio.sleep(0.001)
        broker.stop()
        while not witness.notes:
            await asyncio.sleep(0.001)
        broker.start()
        while len(witness.notes) < 2:
            await asyncio.sleep(0.001)
        await publish(b"after")
        return await witness.close()

    notes = run(main())
    assert rows(tmp_path) == [(1, b"before"), (1, b"after")]
    assert len(notes) == 2
    assert notes[0].startswith("witness connection 1 of 1 (buoys 1–1) lost: closed by 127.0.0.1")
    assert "back after" in notes[1]
    (gap,) = read_observation(tmp_path / EVIDENCE_FOLDER, [1]).gaps_of(1)
    before_ns, after_ns = table(tmp_path)["at_ns"].to_pylist()
    assert gap.reason == Blindness.NOT_CONNECTED
    assert before_ns <= gap.since_ns < gap.until_ns < after_ns


def test_a_witness_whose_broker_is_gone_still_closes_and_writes(
    start_mosquitto: Callable[..., Any], tmp_path: Path
) -> None:
    broker = start_mosquitto()

    async def main() -> list[str]:
        witness = Witness("aws/0", {1: 1.0}, folder=tmp_path)
        await witness.open(endpoint(broker.port))
        witness.record(b"aws/0/1/data/", b"seen")
        broker.stop()
        return await witness.close()

    run(main(), deadline_s=5)
    assert rows(tmp_path) == [(1, b"seen")]
