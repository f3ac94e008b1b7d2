"""Why a board never sent is the first thing a verdict says, by the reason of the transport."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
from run_bench import result_of

from buoyfleet.cloud.broker_target import BrokerTarget
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.mqtt.encoder import encode_connack
from buoyfleet.runs.run_fleet import RunOptions, run_fleet


@contextlib.contextmanager
def server(answer: bytes) -> Iterator[int]:
    """Answers the first bytes of every connection, and closes."""
    listening = create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(2)
        listening.close()
        thread.join(5)


@pytest.mark.parametrize(
    ("client", "answer", "cause", "words"),
    [
        ("fleet", encode_connack(False, 5), "login-refused", "the broker refused the login"),
        ("paho", encode_connack(False, 4), "login-refused", "the broker refused the login"),
        ("fleet", b"HTTP/1.1 400 Bad Request\r\n\r\n", "not-mqtt", "speaks no MQTT"),
        ("fleet", b"", "closed-before-connack", "closed the connection before it answered"),
    ],
    ids=["login", "login-paho", "http", "closed"],
)
def test_the_transports_own_reason_is_the_headline(
    client: str, answer: bytes, cause: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def ready(_self: BrokerTarget) -> list[Any]:
        return []  # preflight finds it too: this is about a broker that changes afterwards

    monkeypatch.setattr(BrokerTarget, "preflight", ready)
    with server(answer) as port:
        fleet = {
            "fleet": "probe",
            "target": f"mqtt://127.0.0.1:{port}",
            "run": {"messages": 3, "rate": "50/s", "start_spread": "10 ms", "drain_timeout": "1 s"},
            "boards": [
                {
                    "kind": "virtual",
                    "ids": "100-101",
                    "link": {"client": client, "connect_timeout": "1 s", "outbox": 2},
                }
            ],
        }
        (tmp_path / "boards.yaml").write_text(json.dumps(fleet))
        monkeypatch.setattr("buoyfleet.mqtt.witness.Witness.open", _refused)
        path, out = tmp_path / "boards.yaml", tmp_path / "runs"
        run_fleet(load_fleet(path, connects=True), RunOptions(out))
    result = result_of(tmp_path / "runs")
    first = result["diagnoses"][0]
    assert (first["kind"], first["cause"]) == ("not-sent", cause)
    assert words in first["sentence"]
    assert "outbox" not in first["change"]
    assert result["outcome"]["sentence"].startswith("Boards 100–101 never connected: ")
    assert all(board["errors"][0].startswith("never connected: ") for board in result["boards"])


async def _refused(_self: object, _endpoint: object) -> None:
    from buoyfleet.model.errors import TargetError

    raise TargetError("the witness was not subscribed")
