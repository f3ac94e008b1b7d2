"""What rules see of a message beside its payload: properties of MQTT 5, and who sent it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_own_rules import rule
from twin_bench import Bench, drive

from buoyfleet.cloud.local.rule_properties import decoded
from buoyfleet.model.fleet import TwinSpec

FORMAT, CONTENT, RESPONSE, CORRELATION, USER = b"\x01", b"\x03", b"\x08", b"\x09", b"\x26"


def field(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return len(data).to_bytes(2, "big") + data


def user(name: str, value: str) -> bytes:
    return USER + field(name) + field(value)


ALL = (
    FORMAT + b"\x01" + CONTENT + field("text/plain") + user("k", "v1") + RESPONSE + field("r/t")
    + CORRELATION + field(b"cid") + user("o", "ü") + user("k", "v2")
)  # fmt: skip


def selected(tmp_path: Path, what: str, properties: bytes | None) -> Any:
    own = rule(tmp_path, {"sqs": {"queueUrl": "q"}}, sql=f"SELECT {what} AS x FROM 'other/#'")

    async def work(bench: Bench) -> None:
        bench.pipeline.principal = {"me": "6f0c"}.get
        bench.pipeline.sink("other/a", b"{}", 1, False, False, "me", properties)
        bench.pipeline.take_in()
        bench.pipeline.errors.write()

    drive(tmp_path, work, TwinSpec(rules=(own,)))
    (line,) = (tmp_path / "twin" / "actions" / "sqs" / "mine.jsonl").read_text().splitlines()
    return json.loads(json.loads(line)["body"]).get("x")


@pytest.mark.parametrize(
    ("what", "properties", "value"),
    [
        ("get_mqtt_property('content_type')", ALL, "text/plain"),
        ("get_mqtt_property('response_topic')", ALL, "r/t"),
        ("get_mqtt_property('correlation_data')", ALL, "Y2lk"),
        ("get_mqtt_property('format_indicator')", ALL, "UTF8_DATA"),
        ("get_mqtt_property('format_indicator')", b"", "UNSPECIFIED_BYTES"),
        ("get_mqtt_property('content_type')", b"", None),
        ("get_mqtt_property('colour')", ALL, None),
        ("get_mqtt_property('content_type')", None, None),
        ("get_user_properties('k')", ALL, ["v1", "v2"]),
        ("get_user_properties('none')", ALL, None),
        ("get_user_properties()", ALL, [{"k": "v1"}, {"o": "ü"}, {"k": "v2"}]),
        ("get_user_properties()", None, None),
        ("principal()", None, "6f0c"),
    ],
)
def test_a_statement_sees_properties_and_principal(
    tmp_path: Path, what: str, properties: bytes | None, value: Any
) -> None:
    assert selected(tmp_path, what, properties) == value


@given(st.lists(st.tuples(st.text(), st.text())), st.binary(max_size=50))
def test_every_property_comes_back_in_order(pairs: list[tuple[str, str]], correlation: bytes) -> None:
    data = b"".join(user(*pair) for pair in pairs) + CORRELATION + field(correlation)
    found = decoded(data)
    assert [value for kind, value in found if kind == USER[0]] == pairs
    assert found[-1][0] == CORRELATION[0]
