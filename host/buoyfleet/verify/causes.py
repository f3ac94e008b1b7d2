"""The table of causes: why a measure is missing, copied, altered, late or unexpected, and what to change.

Keys are a stage's own reasons (under `stage/reason`) and the causes that `buoyfleet.verify.trace` finds by
itself (under their name). Templates take the fields of `Figures`.
"""

from buoyfleet.verify.board_causes import BOARD_CAUSES
from buoyfleet.verify.broker_causes import BROKER_CAUSES
from buoyfleet.verify.cause import Cause, Figures
from buoyfleet.verify.lambda_timeout import timeout_change, timeout_why


def _type_change(figures: Figures) -> str:
    if figures.sent_as_text:
        return "Send numbers as numbers and not as text: the first record of a measure fixes its type."
    return (
        "Send floats with a decimal point always, and give the rule SQL version 2015-10-08: 2016-03-23 turns "
        "7.0 into 7. Where somebody else stored the measure first, use another table."
    )


_LOOK_AT_STAGE = "Look into {stage}: it lost data without counting a refusal."

CAUSES: dict[str, Cause] = {
    **BROKER_CAUSES,
    **BOARD_CAUSES,
    # The independent subscriber.
    "subscriber/not-seen": Cause(
        "the subscriber never saw that, though it saw all of other boards",
        "Look into the broker's log: an ACL or policy of these boards, a limit of size, or a full queue "
        "towards the subscriber may discard what is acknowledged.",
    ),
    "subscriber/all-short": Cause(
        "no board's messages were all seen, so the broker discarded them, or did not deliver them to the "
        "subscriber",
        "Look into the broker's log and its queue limits; a slower pace shows whether the subscriber's "
        "connection was too slow.",
    ),
    "subscriber/nothing-seen": Cause(
        "the subscriber saw no message at all, so nothing proves that the broker passed any on",
        "Look into the broker's log: an ACL, a limit of size, or a subscriber that may not read the data "
        "topics. `mosquitto_sub -t '<prefix>/#' -d` with the same login shows what it may read; `buoy "
        "doctor` says where it is, and what fetches it.",
    ),
    "wrong-topic": Cause(
        lambda figures: (
            "the broker delivered the messages on the topic of another board "
            f"({', '.join(figures.details[:3])}{', …' if len(figures.details) > 3 else ''})"
        ),
        "Look for a bridge or a rule of the broker that maps topics.",
    ),
    "delivered-again": Cause(
        "the broker delivered the messages more often than the boards sent them",
        "Look for a bridge that repeats messages, or a second sender under these ids; the ledger shows the "
        "boards' own resends.",
    ),
    "unreadable": Cause(
        "the payloads on the topics of these boards are not JSON objects",
        "Look into what lies between boards and subscriber: the ledger holds the exact bytes sent, "
        "`evidence/witness.parquet` those that came.",
    ),
    "subscriber/no-subscriber": Cause(
        "no subscriber watched the run ({detail})",
        "Let the fleet's login subscribe to the data topics, then run again.",
    ),
    "subscriber/subscription-refused": Cause(
        "the broker refused the subscription ({detail})",
        "Let the fleet's login subscribe to the data topics, then run again.",
    ),
    "subscriber/no-record": Cause(
        "when the subscriber watched is unknown ({detail})",
        "Run again; if it happens often, look at the room on the disk.",
    ),
    "subscriber/subscriber-away": Cause(
        "sent while the subscriber could not see it ({detail})",
        "Run again; if it happens often, look into the broker's log.",
    ),
    "subscriber/beyond-limit": Cause("{detail}", "Plan fewer messages per second and board."),
    # Rules.
    "rules/no-rule-matched": Cause(
        "no rule's FROM selects the topic ({detail})",
        "Correct the topic prefix of the boards or the FROM clause of the rule.",
    ),
    "rules/rule-not-found": Cause(
        "no rule has the name that the topic of Basic Ingest gives ({detail})",
        "Correct the name in the topic, or the name of the rule.",
    ),
    "rules/where": Cause(
        "a rule's WHERE left that out ({detail})", "Correct the WHERE clause of the rule, or remove it."
    ),
    "rules/malformed-payload": Cause(
        "the rules could not read the payload as a JSON object ({detail})",
        "Correct the payload the board sends; the ledger holds its exact bytes.",
    ),
    "rules/rule-throttled": Cause(
        "the account's rate of rule matches was used up ({detail})",
        "Send less per second over all boards, or have the account's quota raised.",
    ),
    "rules/no-dimension": Cause(
        "the rule action found no buoy for the record ({detail})",
        "Correct the topic, or the action's dimension template.",
    ),
    "rules/no-partition-key": Cause(
        "the rule action found no partition key for the record ({detail})",
        "Correct the action's partition key template; the function `newuuid()` always has a value.",
    ),
    "rules/not-an-object": Cause(
        "the rule's result is no JSON object ({detail})",
        "Let the rule's SELECT give an object: `SELECT *, topic(3) as buoy_id`.",
    ),
    "rules/not-json": Cause(
        "the rule's result cannot be written as JSON ({detail})",
        "Correct the payload the board sends; the ledger holds its exact bytes.",
    ),
    "rules/action-failed": Cause(
        "the rule's action failed ({detail})",
        "Look at the rule's error action and its log; its role may not be allowed to write there.",
    ),
    **{
        f"{stage}/not-selected": Cause(
            f"the rule that feeds {name} does not select that ({{detail}})",
            "Write `SELECT *, topic(3) as buoy_id` in the rule, or name the measure in its SELECT.",
        )
        for stage, name in (("timestream", "Timestream"), ("kinesis", "Kinesis"), ("influxdb", "InfluxDB"))
    },
    # Timestream.
    "timestream/type-conflict": Cause(
        "Timestream refused the type, which is not the measure's ({detail})", _type_change
    ),
    "timestream/collision": Cause(
        "Timestream keeps one value per buoy, measure and millisecond, and another message of the buoy came "
        "in the same millisecond ({detail})",
        "Send `stamped` payloads and set the rule action's timestamp from them, or leave more than 1 ms "
        "between the messages of a buoy.",
    ),
    "timestream/too-old": Cause(
        "older than Timestream's memory store reaches ({detail})",
        "Correct the board's clock, or lengthen the table's memory store retention.",
    ),
    "timestream/time-ahead": Cause(
        "too far in the future for Timestream ({detail})",
        "Correct the board's clock: 15 minutes ahead are allowed.",
    ),
    "timestream/no-timestamp": Cause(
        "the rule action found no usable timestamp ({detail})",
        "Send `stamped` payloads, or let the action use the time of processing.",
    ),
    "timestream/too-many-records": Cause(
        "a rule action writes at most 100 measures of one message ({detail})",
        "Send fewer keys in one message.",
    ),
    "timestream/no-type": Cause(
        "Timestream has no type for that value ({detail})", "Leave a measure out where the board has none."
    ),
    "timestream/out-of-range": Cause(
        "the value does not fit its type ({detail})", "Correct the sensor's reading or its unit."
    ),
    "timestream/record-too-large": Cause("a record takes 2 KB at most ({detail})", "Send shorter texts."),
    "timestream/waiting": Cause(
        "the store is not yet consistent: the record is written and queries do not see it yet ({detail})",
        "Nothing is lost: verify again after that time, or give the run a longer `drain_timeout`.",
    ),
    # InfluxDB.
    "influxdb/type-conflict": Cause(
        "InfluxDB refused the type, which is not the field's ({detail})", _type_change
    ),
    "influxdb/no-timestamp": Cause(
        "the rule action needs an integer `timestamp` in the payload ({detail})",
        "Send `stamped` payloads: the InfluxDB action makes no time of its own.",
    ),
    "influxdb/not-writable": Cause(
        "the message is no point in line protocol ({detail})",
        "Send at least one measure, and no line break in a text.",
    ),
    "influxdb/too-old": Cause(
        "older than the database's retention ({detail})",
        "Correct the board's clock, or lengthen the retention of the database.",
    ),
    "influxdb/write-failed": Cause(
        "InfluxDB did not take the write ({detail})",
        "Look at InfluxDB's log; check address, database, user and token in `target.twin.influxdb`.",
    ),
    # Kinesis.
    "kinesis/records-per-second": Cause(
        "the Kinesis shard takes no more records per second ({detail})",
        "Give the stream more shards, or send less per second.",
    ),
    "kinesis/bytes-per-second": Cause(
        "the Kinesis shard takes no more bytes per second ({detail})",
        "Give the stream more shards, or send smaller payloads.",
    ),
    # Firehose and Lambda.
    "lambda/timeout": Cause(timeout_why, timeout_change),
    "lambda/out-of-memory": Cause(
        "the Lambda function ran out of memory ({detail})",
        "Give the function more memory, or make Firehose's Lambda buffer smaller; the raw records lie under "
        "`processing-failed/` and can be replayed.",
    ),
    "lambda/concurrency": Cause(
        "Lambda had no execution left for the function ({detail})",
        "Reserve concurrency for the function, or have the account's limit raised; the raw records lie under "
        "`processing-failed/` and can be replayed.",
    ),
    "lambda/missing-record-id": Cause(
        "the Lambda function did not return every record ({detail})",
        "Let the function return each recordId it was given; the raw records lie under `processing-failed/`.",
    ),
    "lambda/duplicated-record-id": Cause(
        "the Lambda function returned a record twice ({detail})",
        "Let the function return each recordId once; the raw records lie under `processing-failed/`.",
    ),
    "lambda/bad-response": Cause(
        "the Lambda function returned something that is not an answer to Firehose ({detail})",
        "Let the function return `records` with recordId, result and data; the raw records lie under "
        "`processing-failed/`.",
    ),
    "lambda/function-error": Cause(
        "the Lambda function failed ({detail})",
        "Correct the function; the raw records lie under `processing-failed/` and can be replayed.",
    ),
    "lambda/processing-failed": Cause(
        "the Lambda function returned the record as ProcessingFailed ({detail})",
        "Look at the raw records under `processing-failed/`, and correct payload or function.",
    ),
    "lambda/dropped-by-handler": Cause(
        "the Lambda function returned the record as Dropped ({detail})",
        "Correct the function if these records should be kept.",
    ),
    "firehose/processing-failed": Cause(
        "Firehose put the record under `processing-failed/` ({detail})",
        "Look at errorCode and errorMessage of the objects there; their rawData can be replayed.",
    ),
    "s3/write-failed": Cause(
        "the object could not be written to the bucket ({detail})",
        "Check the bucket, its permissions and the room it has.",
    ),
    "s3/waiting": Cause(
        "not yet flushed to S3 ({detail})",
        "Nothing is lost: look again after that time, give the run a longer `drain_timeout`, or shorten "
        "Firehose's S3 buffer.",
    ),
    "firehose/waiting": Cause(
        "still in Firehose's buffer before the Lambda function ({detail})",
        "Nothing is lost: look again after that time, give the run a longer `drain_timeout`, or shorten the "
        "buffer.",
    ),
    # Anywhere.
    "waiting": Cause(
        "still waiting in a buffer ({detail})",
        "Wait until the buffer is due and verify again, or give the run a longer `drain_timeout`.",
    ),
    "lost-between": Cause(
        "entered {after}, never entered {stage}, and neither of the two recorded a refusal", _LOOK_AT_STAGE
    ),
    "lost-inside": Cause(
        "entered {stage}, did not come out in the store, and {stage} recorded no refusal", _LOOK_AT_STAGE
    ),
    "measure-lost": Cause(
        "the rest of the message arrived, so that was taken out at {stage}, with no refusal recorded",
        "Look into {stage}: a rule, function or handler drops keys there.",
    ),
    "received-again": Cause(
        "the target received the messages more often than the ledger shows attempts",
        "Look for a second sender or a bridge that repeats messages: a board's ledger shows its own resends.",
    ),
    "copied-between": Cause(
        "the messages entered {stage} more often than {after}",
        "Look into the hand-over from {after} to {stage}: it repeated messages.",
    ),
    "copied-inside": Cause(
        "the messages entered {stage} once and are in the store more than once",
        "Look into {stage}: it wrote messages more than once.",
    ),
    "copied": Cause(
        "the ledger shows fewer attempts than there are copies, and no evidence says where they were made",
        "Look for a retry without idempotence on the way to {store}.",
    ),
    "altered": Cause(
        "the value was changed at {stage}",
        "Look into {stage}: compare what it takes with what it gives; the ledger holds the exact bytes sent.",
    ),
    "retyped": Cause(
        "the value became another type at {stage}",
        "Look into {stage}: numbers must stay numbers and strings strings.",
    ),
    "delayed": Cause(
        "up to {dwell} passed between {stage} and {after}",
        "Shorten the buffers of {stage} or give it more capacity, or allow more in `late_after`.",
    ),
    "extra-measure": Cause(
        "the messages were sent without", "Look for a stage that adds measures to messages."
    ),
    "foreign": Cause(
        "the target received that from another client ({detail})",
        "Find who else publishes under these ids: a board in service, or a second run.",
    ),
    "unexplained": Cause(
        "nothing says where that comes from",
        "Find who else writes under these ids: a board in service, a second run, or a changed timestamp.",
    ),
    "unlocated": Cause(
        "no stage recorded a refusal, and without a trace the place cannot be told",
        "Compare the counters of the stages; a target with a trace (`local`) can tell the stage.",
    ),
}

_DELAYED_WITHOUT_TRACE = Cause(
    "no evidence says where the time went",
    "Compare the delays of the stages, or allow more in `late_after`.",
)
_OTHER_REASON = Cause(
    "{stage} refused it with reason {reason} ({detail})",
    "Look up {reason} in the documentation of {stage}.",
)


def explain(figures: Figures) -> tuple[str, str]:
    """(why, change) for losses of one cause."""
    if figures.reason == "delayed" and not figures.dwell:
        return _DELAYED_WITHOUT_TRACE.words(figures)
    cause = CAUSES.get(f"{figures.stage}/{figures.reason}") or CAUSES.get(figures.reason) or _OTHER_REASON
    why, change = cause.words(figures)
    return why.replace(" ()", ""), change
