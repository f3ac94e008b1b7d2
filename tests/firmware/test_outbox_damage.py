"""The outbox on flash against any damage: what is whole comes back, losses are counted."""

import tempfile
from pathlib import Path

import hypothesis.strategies as st
from buoy.flash_outbox import FlashOutbox
from buoy.message import Message
from hypothesis import given, settings

TOPICS = (b"t/data/", b"t/error/")
PAYLOADS = st.one_of(st.binary(max_size=120), st.binary(max_size=20).map(lambda tail: b"\xb1\x02" + tail))
RECORDS = st.lists(st.tuples(st.sampled_from(TOPICS), PAYLOADS), min_size=1, max_size=12)


@given(records=RECORDS, data=st.data())
@settings(max_examples=80, deadline=None)
def test_every_undamaged_record_comes_back_and_the_others_are_counted(
    records: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        box = Path(folder, "outbox")
        outbox = FlashOutbox(str(box), TOPICS, segment_bytes=100_000)
        for seq, (topic, payload) in enumerate(records):
            outbox.put(Message(seq, topic, payload, 0))
        (file,) = box.iterdir()
        content = file.read_bytes()
        damaged = data.draw(st.sets(st.integers(0, len(records) - 1), max_size=4), "damaged")
        out = b""
        misleading = False
        start = 0
        for seq, (_, payload) in enumerate(records):
            record = bytearray(content[start : start + 12 + len(payload)])
            start += len(record)
            if seq in damaged:
                record[data.draw(st.integers(0, len(record) - 1))] ^= data.draw(st.integers(1, 255))
            garbage = data.draw(st.binary(max_size=12), "garbage")
            misleading |= b"\xb1" in garbage + payload
            out += garbage + bytes(record)
        file.write_bytes(out)
        again = FlashOutbox(str(box), TOPICS)
        found = [again.take() for _ in range(again.count)]
    whole = [seq for seq in range(len(records)) if seq not in damaged]
    assert [(one.seq, one.topic, one.payload) for one in found] == [(seq, *records[seq]) for seq in whole]
    # Behind the last whole record there is only what looks like a marker and the next number to count by.
    last = max(whole, default=-1)
    between = len([seq for seq in damaged if seq < last])
    behind = len(damaged) - between
    counted = again.damaged - between
    assert counted >= min(1, behind)
    if not misleading:
        assert counted <= behind
        if behind <= 1:
            assert counted == behind


@given(content=st.binary(max_size=600))
@settings(max_examples=60, deadline=None)
def test_any_bytes_in_a_segment_are_no_reason_to_stop(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "500000.out").write_bytes(content)
        outbox = FlashOutbox(folder, TOPICS)
        assert outbox.count == 0
        assert outbox.damaged == 0 if not content else outbox.damaged >= 1
        outbox.put(Message(1, TOPICS[0], b"{}", 0))
        assert outbox.take().seq == 1
