"""MQTT topic names and filters (MQTT 3.1.1, section 4.7), as UTF-8 bytes as they travel."""

MAX_TEXT_BYTES = 65_535
"""Longest UTF-8 string of MQTT (3.1.1, section 1.5.3)."""


class TopicError(ValueError):
    """A topic name or filter that MQTT does not allow; the message is one sentence."""


def check_text(text: bytes, what: str) -> None:
    """Check a UTF-8 string as MQTT carries it (section 1.5.3).

    Raises:
        TopicError: too long, not UTF-8 (surrogates included), or holding U+0000.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise TopicError(f"{what} has {len(text)} bytes; MQTT allows {MAX_TEXT_BYTES}")
    if b"\0" in text:
        raise TopicError(f"{what} holds U+0000")
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise TopicError(f"{what} is not UTF-8 at byte {error.start}") from None


def check_topic(topic: bytes) -> None:
    """Check a topic name, as a PUBLISH may carry it.

    Raises:
        TopicError: empty, not UTF-8, or with a wildcard.
    """
    if not topic:
        raise TopicError("topic is empty")
    if b"#" in topic or b"+" in topic:
        raise TopicError("topic holds a wildcard (+ or #)")
    check_text(topic, "topic")


def check_filter(topic_filter: bytes) -> None:
    """Check a topic filter, as a SUBSCRIBE may carry it.

    Raises:
        TopicError: empty, not UTF-8, or with a misplaced wildcard.
    """
    if not topic_filter:
        raise TopicError("topic filter is empty")
    check_text(topic_filter, "topic filter")
    if b"#" in topic_filter:
        head = topic_filter[:-1]
        if topic_filter[-1:] != b"#" or b"#" in head or (head and head[-1:] != b"/"):
            raise TopicError("# must be the last level of a topic filter, and all of it")
    if b"+" in topic_filter and any(b"+" in level and level != b"+" for level in topic_filter.split(b"/")):
        raise TopicError("+ must be a whole level of a topic filter")


def topic_matches(topic_filter: bytes, topic: bytes, *, hash_matches_parent: bool = True) -> bool:
    """Whether a valid filter selects a valid topic.

    A wildcard at the start does not match topics that begin with `$` (section 4.7.2).

    Args:
        topic_filter: the filter, already checked.
        topic: the topic name, already checked.
        hash_matches_parent: `a/#` matches `a`, as MQTT says (section 4.7.1.2). On AWS IoT Core it does
            not: pass False.
    """
    if topic_filter == topic:
        return True
    if topic[:1] == b"$" and topic_filter[:1] in (b"#", b"+"):
        return False
    wanted = topic_filter.split(b"/")
    levels = topic.split(b"/")
    if wanted[-1] == b"#":
        del wanted[-1]
        if len(levels) < len(wanted) or (len(levels) == len(wanted) and not hash_matches_parent):
            return False
    elif len(levels) != len(wanted):
        return False
    return all(want == level or want == b"+" for want, level in zip(wanted, levels, strict=False))
