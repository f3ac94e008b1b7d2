"""`buoy twin` as a user types it: it says how to connect, what happens, and what happened."""

import contextlib
import http.client
import json
import re
import shlex
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from buoyfleet.cli.main import invoke

BUOY = [sys.executable, "-m", "buoyfleet.cli.main"]
DEADLINE_S = 120


@contextlib.contextmanager
def twin(*options: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [*BUOY, "twin", "--port", "0", "--control-port", "0", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: "subprocess.Popen[str]", start: str) -> dict[str, str]:
    """Lines up to the one that begins with `start`, by their first word."""
    lines: dict[str, str] = {}
    assert process.stdout is not None
    for line in process.stdout:
        word, _, rest = line.partition(" ")
        lines[word] = rest.strip()
        if word == start:
            return lines
    raise AssertionError(f"it ended after {lines}")


def buoy(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*BUOY, *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


def test_what_it_prints_can_be_typed_and_works(tmp_path: Path, mosquitto: Any) -> None:
    with twin("--folder", str(tmp_path / "t")) as process:
        lines = read_until(process, "stop")
        control = re.search(r"(\S+),", lines["control"])
        assert control is not None
        address = control[1]
        assert lines["look"] == f"buoy twin status {address}"
        command = lines["try"].replace("mosquitto_pub", shlex.quote(str(mosquitto.pub)), 1)
        subprocess.run(["sh", "-c", command], check=True, timeout=DEADLINE_S)
        status = buoy("twin", "status", address)
        assert status.returncode == 0
        assert re.search(r"^broker +1 +1 ", status.stdout, re.MULTILINE)
        told = json.loads(buoy("twin", "status", address, "--json").stdout)
        assert told["stored"] == {"timestream": 1, "s3": 0}
        assert f"attach: {address}" in status.stdout
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0
        assert re.search(r"^timestream +3 +3 ", rest, re.MULTILINE)
        assert str(tmp_path / "t") in rest
        assert "Traceback" not in rest


def test_with_json_every_line_is_an_object(tmp_path: Path) -> None:
    with twin("--folder", str(tmp_path / "t"), "--limits", "aws", "--json") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready["event"], ready["limits"], ready["changed_limits"]) == ("ready", "aws", [])
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=DEADLINE_S)
        (summary,) = [json.loads(line) for line in rest.splitlines()]
        assert summary["event"] == "summary"
        assert summary["stages"][0]["name"] == "broker"
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["--limits", "none"], 2, "--limits aws"),
        (["--payload", "none"], 2, "--payload stamped"),
        (["--folder", "/dev/null/x"], 3, "cannot be written"),
        (["status", "127.0.0.1:1"], 2, "buoy twin"),
        (["status", "nonsense"], 2, "HOST:PORT"),
    ],
)
def test_mistakes_are_told_in_a_line_and_an_exit_code(
    arguments: list[str], exit_code: int, words: str
) -> None:
    done = buoy("twin", *arguments)
    assert done.returncode == exit_code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_it_takes_the_twin_of_a_fleet_file_enrols_boards_and_prints_its_metrics(
    tmp_path: Path, mosquitto: Any
) -> None:
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        json.dumps(
            {
                "fleet": "bench",
                "target": {"kind": "local", "twin": {"tls": True, "limits": {"publishes_in": "7/s"}}},
                "topic_prefix": "lab/3",
                "run": {"messages": 1, "rate": "1/s", "payload": "original"},
                "boards": [{"kind": "virtual", "ids": 100}],
            }
        )
    )
    options = ("--fleet", str(fleet), "--limit", "payload_bytes=200", "--limits", "aws")
    with twin("--folder", str(tmp_path / "t"), *options) as process:
        lines = read_until(process, "stop")
        address = re.search(r"(\S+),", lines["control"])
        port = re.search(r"over TLS on \S+?:(\d+),", lines["twin"])
        assert address is not None
        assert port is not None
        command = shlex.split(lines["try"].split("(")[0])
        enrolled = buoy(*command[1:])
        assert enrolled.returncode == 0, enrolled.stderr
        files = dict(
            zip(("ca", "cert", "key"), re.findall(r"(/\S+\.(?:pem|key))", enrolled.stdout), strict=True)
        )
        publish = [str(mosquitto.pub), "-h", "localhost", "-p", port[1], "-q", "1", "-i", "buoy-100"]
        publish += ["--cafile", files["ca"], "--cert", files["cert"], "--key", files["key"]]
        subprocess.run(
            [*publish, "-t", "lab/3/100/data/", "-m", '{"temp":7.5}'], check=True, timeout=DEADLINE_S
        )
        # The port of HTTPS, as the table says it.
        https = re.search(r"^HTTPS +certificate +(\d+) +- +8443$", enrolled.stdout, re.MULTILINE)
        assert https is not None
        context = ssl.create_default_context(cafile=files["ca"])
        context.load_cert_chain(files["cert"], files["key"])
        client = http.client.HTTPSConnection("localhost", int(https[1]), timeout=DEADLINE_S, context=context)
        client.request("POST", "/topics/lab%2F3%2F100%2Fdata%2F?qos=1", b'{"temp":7.5}')
        assert client.getresponse().status == 403, "a policy with variables of a thing opens nothing there"
        client.close()
        metrics = json.loads(buoy("twin", "metrics", address[1]).stdout)
        assert metrics["AWS/IoT PublishIn.Success"] == 1
        assert metrics["AWS/IoT PublishIn.AuthError"] == 1
        assert metrics["AWS/IoT TopicMatch {RuleName=buoy_timestream}"] == 1
        status = json.loads(buoy("twin", "status", address[1], "--json").stdout)
        assert (status["topic_prefix"], status["payload"], status["tls"]) == ("lab/3", "original", True)
        assert status["changed_limits"] == [
            "publishes in per second and connection: 7 (IoT Core: 100)",
            "bytes of a payload: 200 (IoT Core: 131072)",
        ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--limit", "publish=3/s"), "did you mean `publishes_in=VALUE`?"),
        (("--limit", "payload_bytes=lifted"), "not a whole number"),
        (("--fleet", "/nowhere.yaml"), "no such file"),
        (("enroll", "buoy-100"), "write THING=BUOY"),
    ],
)
def test_what_it_cannot_use_is_said_before_anything_starts(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["twin", "--port", "0", *arguments]) == 2
    assert words in capsys.readouterr().err
