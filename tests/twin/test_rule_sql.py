"""Rule SQL: what is accepted, what is refused, and that both versions count as AWS does."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buoyfleet.cloud.local.rule_compile import Chance, Message, Scope, Topic
from buoyfleet.cloud.local.rule_sql import parse_statement
from buoyfleet.cloud.local.rule_tokens import RuleError
from buoyfleet.cloud.local.rules import (
    KinesisAction,
    Rule,
    RuleSpec,
    bind_template,
    default_rules,
    parse_template,
)
from sensors.catalog import KEYS

TOPIC = "aws/0/100/data/"
AT_NS = 1_700_000_000_123_456_789

# statement → result for PAYLOAD, None where WHERE keeps it
ACCEPTED: list[tuple[str, dict[str, Any] | None]] = [
    ("SELECT temp FROM 'aws/+/+/data/#'", {"temp": 7.5}),
    ("select temp as t from 'aws/+/+/data/#'", {"t": 7.5}),
    ("SELECT do, temp, missing FROM 'aws/+/+/data/#'", {"temp": 7.5}),
    ("SELECT o.p.q FROM 'aws/+/+/data/#'", {"q": 1.5}),
    ("SELECT o.p.q AS deep, o.x.q AS none FROM 'aws/+/+/data/#'", {"deep": 1.5}),
    ("SELECT topic() AS t FROM 'aws/+/+/data/#'", {"t": TOPIC}),
    ("SELECT topic(1) AS a, topic(3) AS b FROM '#'", {"a": "aws", "b": "100"}),
    ("SELECT topic(5) AS c, topic(6) AS d FROM '#'", {"c": ""}),
    ("SELECT timestamp() AS t FROM '#'", {"t": 1_700_000_000_123}),
    ("SELECT 1 AS a, 2.5 AS b, 'x' AS c, true AS d, null AS e FROM '#'",
     {"a": 1, "b": 2.5, "c": "x", "d": True, "e": None}),
    ("SELECT 'it''s' AS a FROM '#'", {"a": "it's"}),
    ("SELECT 1 + 2 * 3 AS a, (1 + 2) * 3 AS b FROM '#'", {"a": 7, "b": 9}),
    ("SELECT 7 / 2 AS c, -7 / 2 AS d, 7 % 4 AS e, -7 % 4 AS f FROM '#'", {"c": 3, "d": -3, "e": 3, "f": -3}),
    ("SELECT temp + 1 AS a, temp - n AS b, -temp AS c FROM '#'", {"a": 8.5, "b": 4.5, "c": -7.5}),
    ("SELECT s + temp AS a, s + 'c' AS b FROM '#'", {"a": "ab7.5", "b": "abc"}),
    ("SELECT missing + 1 AS a, s * 2 AS b, n / 0 AS c FROM '#'", {}),
    ("SELECT \"temp\" AS t, s + \" \"\"c\"\"\" AS u FROM '#'", {"t": "temp", "u": 'ab "c"'}),
    ("SELECT temp FROM '#' WHERE topic(4) = \"data\"", {"temp": 7.5}),
    ("SELECT TOPIC(3) AS a, Upper(s) AS b FROM '#'", {"a": "100", "b": "AB"}),
    ("SELECT topic(0) AS a, topic(1, 2) AS b, topic('1') AS c, topic(n) AS d FROM '#'",
     {"c": "aws", "d": "100"}),
    ("SELECT timestamp(1) AS a, newuuid(1) AS b FROM '#'", {}),
    ("SELECT value FROM '#'", {}),
    ("SELECT value, n FROM '#'", {"n": 3}),
    ("SELECT value.a AS x, value + 1 AS y, n FROM '#'", {"n": 3}),
    ("SELECT n AS case, s AS end FROM '#'", {"case": 3, "end": "ab"}),
    ("SELECT s + z AS a, s + o AS b FROM '#'", {"b": 'ab{"p":{"q":1.5}}'}),
    ("SELECT true = 1 AS a, 1 = true AS b, 1 = 1.0 AS c, true <> 1 AS d, '1' = 1 AS e FROM '#'",
     {"a": False, "b": False, "c": True, "d": True, "e": False}),
    ("SELECT l = m AS a, l = l AS b, o = o AS c, z = null AS d, z <> null AS e FROM '#'",
     {"a": False, "b": True, "c": True, "d": True, "e": False}),
    ("SELECT temp FROM '#' WHERE temp > 5", {"temp": 7.5}),
    ("SELECT temp FROM '#' WHERE temp > 7.5", None),
    ("SELECT temp FROM '#' WHERE temp >= 7.5 AND ph <= 7", {"temp": 7.5}),
    ("SELECT temp FROM '#' WHERE ph = 7 AND NOT (n <> 3 OR wet = false)", {"temp": 7.5}),
    ("SELECT temp FROM '#' WHERE ph != 8 AND s = 'ab'", {"temp": 7.5}),
    ("SELECT temp FROM '#' WHERE missing = 1", None),
    ("SELECT temp FROM '#' WHERE NOT missing = 1", None),
    ("SELECT temp FROM '#' WHERE wet", {"temp": 7.5}),
    ("SELECT temp FROM '#' WHERE s", None),
    ("SELECT temp FROM '#' WHERE topic(3) = '100'", {"temp": 7.5}),
    ("SELECT temp FROM '#' WHERE '6' < temp", {"temp": 7.5}),
]  # fmt: skip

# statement → a part of the reason
REFUSED: list[tuple[str, str]] = [
    ("", "begins with SELECT"),
    ("temp", "begins with SELECT"),
    ("SHOW TABLES", "begins with SELECT"),
    ("SELECT temp", "FROM"),
    ("SELECT temp FROM", "single quotes"),
    ("SELECT temp FROM table1", "single quotes"),
    ('SELECT temp FROM "aws/#"', "single quotes"),
    ("SELECT temp FROM 'a', 'b'", "should end"),
    ("SELECT temp FROM 'a' JOIN 'b'", "should end"),
    ("SELECT temp FROM 'a' AS t", "should end"),
    ("SELECT temp FROM 'a/#/b'", "no topic filter"),
    ("SELECT temp FROM 'a+/b'", "no topic filter"),
    ("SELECT temp FROM ''", "no topic filter"),
    ("FROM 'a' SELECT temp", "begins with SELECT"),
    ("SELECT temp t FROM 'a'", "expected FROM"),
    ("SELECT topic(3) buoy_id FROM 'a'", "needs a name"),
    ("SELECT DISTINCT temp FROM 'a'", "expected FROM"),
    ("SELECT *, * FROM 'a'", "twice"),
    ("SELECT o.* FROM 'a'", "expected a name"),
    ("SELECT a, b AS a FROM 'a'", "named 'a'"),
    ("SELECT temp + 1 FROM 'a'", "needs a name"),
    ("SELECT topic(3) FROM 'a'", "needs a name"),
    ("SELECT l[0] AS x FROM 'a'", "found '['"),
    ("SELECT get_secret('a', 'b') AS x FROM 'a'", "get_secret() is not supported here"),
    ("SELECT get_secret('a') AS x FROM 'a'", "of an account"),
    ("SELECT count(*) AS x FROM 'a'", "count() is not supported"),
    ("SELECT cast(temp AS blob) AS x FROM 'a'", "cast() knows"),
    ("SELECT temp::int AS x FROM 'a'", "found ':'"),
    ("SELECT CASE WHEN wet THEN 1 END AS x FROM 'a'", "before WHEN"),
    ("SELECT CASE wet END AS x FROM 'a'", "at least one WHEN"),
    ("SELECT 1 == 1 AS x FROM 'a'", "expected an expression"),
    ("SELECT temp FROM 'a' WHERE temp IS NULL", "should end"),
    ("SELECT temp FROM 'a' WHERE temp BETWEEN 1 AND 2", "should end"),
    ("SELECT temp FROM 'a' WHERE s LIKE 'a%'", "should end"),
    ("SELECT temp FROM 'a' GROUP BY temp", "should end"),
    ("SELECT temp FROM 'a' LIMIT 1", "should end"),
    ("SELECT temp FROM 'a';", "not part of rule SQL"),
    ("SELECT temp FROM 'a' -- comment", "should end"),
    ("SELECT temp FROM 'a' WHERE", "expected an expression"),
    ("SELECT temp FROM 'a' WHERE (", "expected an expression"),
    ("SELECT 'open FROM 'a'", "does not end"),
    ("INSERT INTO a VALUES (1)", "begins with SELECT"),
    ("SET @a = 1, @a = 2 SELECT @a AS x FROM 'a'", "set twice"),
    ("SET a = 1 SELECT a FROM 'a'", "expected @name"),
    ("SELECT " + "(" * 3000 + "1" + ")" * 3000 + " AS x FROM 'a'", "levels deep"),
    ("SELECT " + "NOT " * 3000 + "true AS x FROM 'a'", "levels deep"),
    ("SELECT " + "- " * 3000 + "1 AS x FROM 'a'", "levels deep"),
    ("SELECT " + "1 + " * 3000 + "1 AS x FROM 'a'", "operators"),
    ("SELECT a" + ".b" * 3000 + " AS x FROM 'a'", "operators"),
    ("SELECT " + "a" * 300_000 + " FROM 'a'", "262,144"),
]  # fmt: skip

PAYLOAD = {
    "temp": 7.5,
    "ph": 7.0,
    "n": 3,
    "wet": True,
    "s": "ab",
    "o": {"p": {"q": 1.5}},
    "z": None,
    "l": [1, 2],
    "m": [True, 2],
}


def run(sql: str, payload: dict[str, Any], version: Any = "2015-10-08", topic: str = TOPIC) -> Any:
    rule = Rule(RuleSpec("r", sql, version, KinesisAction()), Chance(1))
    return rule.bind(Topic.of(topic))(payload, AT_NS)


def run_template(template: str) -> Any:
    scope = Scope(Topic.of(TOPIC), "2016-03-23", Chance(1), Message())
    return bind_template(parse_template(template, "2016-03-23"), scope)


@pytest.mark.parametrize(("sql", "result"), ACCEPTED)
def test_an_accepted_statement_gives_its_result(sql: str, result: dict[str, Any] | None) -> None:
    assert run(sql, dict(PAYLOAD)) == result


@pytest.mark.parametrize(("sql", "reason"), REFUSED)
def test_a_refused_statement_says_why(sql: str, reason: str) -> None:
    with pytest.raises(RuleError) as raised:
        parse_statement(sql)
    assert reason in raised.value.what


@pytest.mark.parametrize("version", ["2015-10-08", "2016-03-23"])
def test_the_source_systems_rule_adds_the_buoy_from_the_topic(version: str) -> None:
    result = run("SELECT *, topic(3) as buoy_id FROM 'aws/+/+/data/#'", {"temp": 7.25}, version)
    assert result == {"temp": 7.25, "buoy_id": "100"}


def test_version_2016_writes_whole_numbers_as_integers_and_2015_keeps_the_point() -> None:
    payload = {"a": 7.0, "b": 7.5, "c": {"d": [1.0, 2.5]}, "e": 10**40 * 1.0, "f": -0.0}
    assert json.dumps(run("SELECT * FROM '#'", payload, "2015-10-08")) == json.dumps(payload)
    assert json.dumps(run("SELECT * FROM '#'", payload, "2016-03-23")) == json.dumps(
        {"a": 7, "b": 7.5, "c": {"d": [1, 2.5]}, "e": 1e40, "f": 0}
    )


def test_the_payload_is_not_changed_by_a_rule() -> None:
    payload = {"a": 7.0, "c": {"d": 1.0}}
    run("SELECT *, topic(3) AS buoy_id FROM '#'", payload, "2016-03-23")
    assert json.dumps(payload) == '{"a": 7.0, "c": {"d": 1.0}}'


def test_newuuid_differs_per_message_and_repeats_with_the_seed() -> None:
    def two() -> list[str]:
        select = Rule(
            RuleSpec("r", "SELECT newuuid() AS u FROM '#'", "2016-03-23", KinesisAction()), Chance(5)
        ).bind(Topic.of("a"))
        results = [select({}, 0), select({}, 0)]
        return [result["u"] for result in results if result is not None]

    first, second = two()
    assert first != second
    assert [first, second] == two()


@pytest.mark.parametrize(
    ("topic", "matches"),
    [
        ("aws/0/100/data/", True),
        ("aws/0/100/data/x/y", True),
        ("aws/0/100/data", False),  # as AWS, not as MQTT
        ("aws/0/100/error/", False),
        ("aws/0/100/200/data/", False),
    ],
)
def test_from_matches_by_the_rules_of_iot_core(topic: str, matches: bool) -> None:
    rule = Rule(default_rules("aws/0", "stamped")[0], Chance(1))
    assert rule.matches(topic) is matches


def test_the_default_rules_follow_the_topic_prefix() -> None:
    timestream, kinesis = default_rules("test/yvr/1", "original")
    assert timestream.sql == kinesis.sql == "SELECT *, topic(4) as buoy_id FROM 'test/yvr/1/+/data/#'"
    assert (timestream.version, kinesis.version) == ("2015-10-08", "2016-03-23")
    assert Rule(timestream, Chance(1)).bind(Topic.of("test/yvr/1/7/data/"))({}, 0) == {"buoy_id": "7"}


@pytest.mark.parametrize(
    ("name", "version"), [("with-hyphen", "2016-03-23"), ("r", "2017-01-01"), ("", "2016-03-23")]
)
def test_a_rule_name_or_version_that_aws_refuses_is_refused(name: str, version: Any) -> None:
    with pytest.raises(RuleError):
        Rule(RuleSpec(name, "SELECT * FROM 'a'", version, KinesisAction()), Chance(1))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("${timestamp}", 12),
        ("${topic(3)}", "100"),
        ("buoy-${topic(3)}-${timestamp}", "buoy-100-12"),
        ("plain", "plain"),
        ("${temp * 2}", 15.0),
        ("a/${get({'k': 'x}y'}, 'k')}/${concat(\"}\", 's')}", "a/x}y/}s"),
    ],
)
def test_a_template_gives_its_value(template: str, value: Any) -> None:
    assert run_template(template)({"timestamp": 12, "temp": 7.5}, 0) == value


@pytest.mark.parametrize(
    "template", ["${", "${}", "${a, b}", "${*}", "${a AS b}", "${nope(a)}", "${@a}", "x${a} ${"]
)
def test_a_template_outside_the_allow_list_is_refused(template: str) -> None:
    with pytest.raises(RuleError):
        run_template(template)


# -- the evaluator against a model written from AWS's operator tables -------------------------------


class Undefined:
    pass


def model_number(value: Any) -> Any:
    if isinstance(value, bool) or value is None or value is Undefined:
        return None
    if isinstance(value, str):
        try:
            return float(value) if value.strip() == value and value[:1] not in "+.niNI" else None
        except ValueError:
            return None
    return value


def model(node: Any, payload: dict[str, Any]) -> Any:
    kind = node[0]
    if kind == "literal":
        return node[1]
    if kind == "column":
        return payload.get(node[1], Undefined)
    if kind == "not":
        value = model(node[1], payload)
        return (not value) if isinstance(value, bool) else Undefined
    operator, left, right = node[1], model(node[2], payload), model(node[3], payload)
    if operator in ("AND", "OR"):
        if not (isinstance(left, bool) and isinstance(right, bool)):
            return Undefined
        return (left and right) if operator == "AND" else (left or right)
    if operator in ("=", "<>"):
        if Undefined in (left, right):
            return Undefined
        numbers = all(type(value) in (int, float) for value in (left, right))
        same = left == right if numbers or type(left) is type(right) else False
        return same if operator == "=" else not same
    a, b = model_number(left), model_number(right)
    if operator == "+" and (isinstance(left, str) or isinstance(right, str)):
        if Undefined in (left, right):
            return Undefined
        return "".join(value if isinstance(value, str) else json.dumps(value) for value in (left, right))
    if a is None or b is None:
        return Undefined
    if operator in ("<", "<=", ">", ">="):
        return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]
    if operator == "%" or operator == "/":
        if b == 0:
            return Undefined
        if isinstance(a, int) and isinstance(b, int):
            quotient = int(math.copysign(1, a) * math.copysign(1, b)) * (abs(a) // abs(b))
            return quotient if operator == "/" else a - b * quotient
        return a / b if operator == "/" else math.fmod(a, b)
    return {"+": a + b, "-": a - b, "*": a * b}[operator]


def text(node: Any) -> str:
    kind = node[0]
    if kind == "literal":
        value = node[1]
        return f"'{value}'" if isinstance(value, str) else json.dumps(value)
    if kind == "column":
        return str(node[1])
    if kind == "not":
        return f"(NOT {text(node[1])})"
    return f"({text(node[2])} {node[1]} {text(node[3])})"


literals = st.one_of(
    st.integers(0, 1000),
    st.integers(0, 4000).map(lambda n: n / 4),
    st.booleans(),
    st.sampled_from(["ab", "7", "1.5", "x y"]),
).map(lambda value: ("literal", value))
columns = st.sampled_from(["temp", "ph", "n", "wet", "s", "gone"]).map(lambda name: ("column", name))
operators = st.sampled_from(["+", "-", "*", "/", "%", "=", "<>", "<", "<=", ">", ">=", "AND", "OR"])
expressions = st.recursive(
    literals | columns,
    lambda inner: st.tuples(st.just("binary"), operators, inner, inner) | st.tuples(st.just("not"), inner),
    max_leaves=6,
)
payloads = st.fixed_dictionaries(
    {
        "temp": st.integers(-400, 400).map(lambda n: n / 4),
        "ph": st.integers(-100, 100),
        "wet": st.booleans(),
        "s": st.sampled_from(["", "true", "ab", "3", "-2.5"]),
    }
)


def strict(node: Any, payload: dict[str, Any]) -> bool:
    """Whether the model covers the case: strings that read as booleans are left to the table above."""
    if node[0] in ("literal", "column"):
        return True
    if node[0] == "not":
        return strict(node[1], payload) and not isinstance(model(node[1], payload), str)
    if node[1] in ("AND", "OR") and any(isinstance(model(side, payload), str) for side in node[2:]):
        return False
    return strict(node[2], payload) and strict(node[3], payload)


@settings(max_examples=250, deadline=None)
@given(node=expressions, payload=payloads)
def test_an_expression_gives_what_a_plain_model_gives(node: Any, payload: dict[str, Any]) -> None:
    if not strict(node, payload):
        return
    wanted = model(node, payload)
    result = run(f"SELECT {text(node)} AS x FROM '#'", payload)
    if wanted is Undefined:
        assert result == {}
    else:
        assert type(result["x"]) is type(wanted)
        assert (
            result["x"] == pytest.approx(wanted, rel=1e-12)
            if isinstance(wanted, float)
            else result["x"] == wanted
        )


@settings(max_examples=300, deadline=None)
@given(
    sql=st.text(max_size=60)
    | st.text(alphabet="SELCTFROM *'a,()=.;-1#+/ \n", max_size=60).map("SELECT ".__add__)
)
def test_any_text_is_either_a_statement_or_refused(sql: str) -> None:
    try:
        parse_statement(sql)
    except RuleError:
        return


def test_every_key_of_a_buoy_can_be_named_as_a_column() -> None:
    payload = {key: 1.5 for key in KEYS}
    assert run(f"SELECT {', '.join(KEYS)} FROM '#'", payload) == payload
