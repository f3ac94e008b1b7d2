"""Topic names, filters and matching."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.mqtt.topics import TopicError, check_filter, check_topic, topic_matches


@pytest.mark.parametrize(
    ("topic_filter", "topic", "matches"),
    [
        # Examples of MQTT 3.1.1, section 4.7.
        (b"sport/tennis/player1/#", b"sport/tennis/player1", True),
        (b"sport/tennis/player1/#", b"sport/tennis/player1/score/wimbledon", True),
        (b"sport/#", b"sport", True),
        (b"#", b"sport/tennis", True),
        (b"sport/tennis/+", b"sport/tennis/player1", True),
        (b"sport/tennis/+", b"sport/tennis/player1/ranking", False),
        (b"sport/+", b"sport", False),
        (b"sport/+", b"sport/", True),
        (b"+/+", b"/finance", True),
        (b"/+", b"/finance", True),
        (b"+", b"/finance", False),
        (b"#", b"$SYS/broker", False),
        (b"+/monitor/Clients", b"$SYS/monitor/Clients", False),
        (b"$SYS/#", b"$SYS/broker", True),
        (b"$SYS/monitor/+", b"$SYS/monitor/Clients", True),
        # The buoys' own: a trailing slash is a level.
        (b"aws/+/+/data/#", b"aws/0/100/data/", True),
        (b"aws/+/+/data/#", b"aws/0/100/error/", False),
        (b"aws/0/100/data/", b"aws/0/100/data", False),
        (b"a/b", b"a/B", False),
    ],
)
def test_filters_match_as_the_standard_says(topic_filter: bytes, topic: bytes, matches: bool) -> None:
    assert topic_matches(topic_filter, topic) is matches


def test_iot_core_does_not_match_the_parent_of_a_hash() -> None:
    assert topic_matches(b"aws/+/+/data/#", b"aws/0/100/data")
    assert not topic_matches(b"aws/+/+/data/#", b"aws/0/100/data", hash_matches_parent=False)
    assert topic_matches(b"aws/+/+/data/#", b"aws/0/100/data/", hash_matches_parent=False)
    assert topic_matches(b"#", b"a", hash_matches_parent=False)


levels = st.lists(st.sampled_from([b"", b"a", b"b", b"$a"]), min_size=1, max_size=5)


@given(levels, st.sets(st.integers(0, 4)), st.none() | st.integers(0, 5))
def test_replacing_levels_by_wildcards_keeps_a_match(
    topic: list[bytes], plus: set[int], cut: int | None
) -> None:
    wanted = [b"+" if place in plus else level for place, level in enumerate(topic)]
    if cut is not None:
        wanted = [*wanted[:cut], b"#"]
    name = b"/".join(topic)
    hidden = name.startswith(b"$") and wanted[0] in (b"+", b"#")
    if name:
        check_filter(b"/".join(wanted))
        assert topic_matches(b"/".join(wanted), name) is not hidden


@pytest.mark.parametrize("topic_filter", [b"#", b"+", b"a/#", b"/", b"+/a/#", b"/#", "ä/+".encode()])
def test_valid_filters_pass(topic_filter: bytes) -> None:
    check_filter(topic_filter)


@pytest.mark.parametrize(
    "topic_filter", [b"", b"a#", b"#/a", b"a/#/b", b"##", b"a+", b"+a/b", b"a\0", b"\xff", b"a" * 65_536]
)
def test_invalid_filters_are_refused(topic_filter: bytes) -> None:
    with pytest.raises(TopicError):
        check_filter(topic_filter)


@pytest.mark.parametrize("topic", [b"", b"a/+", b"#", b"a\0b", b"\xc0\x80", b"a" * 65_536])
def test_invalid_topics_are_refused(topic: bytes) -> None:
    with pytest.raises(TopicError):
        check_topic(topic)


def test_valid_topics_pass() -> None:
    for topic in (b"/", b"aws/0/100/data/", "wasser/güte".encode(), b"a" * 65_535):
        check_topic(topic)
