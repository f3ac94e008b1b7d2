"""Guard of the live system: what a run would do to the account, and signs that it would disturb others.

Before the first message: caps on messages and cost; rules of the account that would carry the fleet's topics
somewhere else; things that no test fleet made; boards that are connected, or that publish, right now.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

from buoyfleet.cloud.aws.account import Account, AwsError
from buoyfleet.cloud.aws.connections import ask_connections
from buoyfleet.cloud.aws.enrolled import USE, USE_TEST, read_enrolled
from buoyfleet.cloud.aws.estimate import cost_of, limits_of, usage_of
from buoyfleet.cloud.aws.names import bucket_of
from buoyfleet.cloud.aws.pipeline import Settings
from buoyfleet.cloud.aws.prices import load_prices
from buoyfleet.cloud.aws.quotas import Quotas
from buoyfleet.cloud.target import Check, Manners, Stakes
from buoyfleet.inventory.values import duration_text, ids_shown
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import TargetError
from buoyfleet.model.fleet import Fleet
from buoyfleet.model.plan import Plan
from buoyfleet.mqtt.topics import topic_matches
from buoyfleet.mqtt.witness import Witness

_ALLOW = "--allow-live, if that is meant"


@dataclass(frozen=True, slots=True)
class MatchingRule:
    """A rule of the account that takes the fleet's messages."""

    name: str
    sql: str
    version: str
    leads_to: str
    """Where its actions write, in words."""


class Guard:
    """Looks at one run before it starts."""

    def __init__(self, account: Account, fleet: Fleet, spec: AwsSpec, settings: Settings) -> None:
        self._account = account
        self._fleet = fleet
        self._spec = spec
        self._settings = settings

    async def stakes(self, plan: Plan, endpoint: Endpoint, manners: Manners) -> Stakes:
        """Everything that has to be agreed to.

        Raises:
            AwsError: credentials or region are missing.
        """
        spec, account = self._spec, self._account
        usage = usage_of(self._fleet, plan)
        prices = load_prices()
        cost = sum(line.usd for line in cost_of(usage, self._settings, prices, account.region))
        identity = await asyncio.to_thread(account.identity)
        rules, rules_problem = await asyncio.to_thread(self._rules)
        elsewhere = f", times {prices.elsewhere:g} for {account.region}"
        margin = "" if account.region == prices.region else elsewhere
        bound = "" if usage.bounded else "at most "
        lines = (
            f"account   {identity['Account']} in {account.region}, as {identity['Arn']}",
            f"publish   {bound}{usage.messages:,} messages of {usage.boards:,} boards in "
            f"{duration_text(round(usage.duration_s))}, to {self._fleet.topic_prefix}/<id>/data/ on "
            f"{endpoint.host}:{endpoint.port}",
            f"into      {_series(spec)}, stream {spec.stream}, bucket {bucket_of(spec, account)}",
            *(f"rule      {rule.name} ({rule.version}) carries them to {rule.leads_to}" for rule in rules),
            f"cost      about {cost:.2f} US dollars "
            f"(list prices of {prices.region}, {prices.collected}{margin})",
        )
        nearest = limits_of(usage, Quotas({}), self._settings)[0]
        beyond = ", which is beyond it" if nearest.exceeded else ""
        lines += (f"limit     nearest is {nearest.name}: {nearest.needed / nearest.limit:.1%} of it{beyond}",)
        live = await asyncio.gather(
            asyncio.to_thread(self._rules_check, rules, rules_problem),
            asyncio.to_thread(self._things_check),
            asyncio.to_thread(self._connected_check),
            self._publishing_check(endpoint, manners),
        )
        return Stakes(
            lines,
            tuple(check for check in self._caps(usage.messages, cost) if not check.passed),
            tuple(check for check in live if not check.passed),
        )

    def _caps(self, messages: int, cost: float) -> list[Check]:
        spec = self._spec
        return [
            Check(
                "messages",
                messages <= spec.max_messages,
                f"{messages:,} messages are planned, target.max_messages allows {spec.max_messages:,}",
                "send fewer (--count, --boards), or raise target.max_messages",
            ),
            Check(
                "cost",
                cost <= spec.max_cost_usd,
                f"about {cost:.2f} US dollars, target.max_cost allows {spec.max_cost_usd:g}",
                "send fewer (--count, --boards), or raise target.max_cost",
            ),
        ]

    def _rules(self) -> tuple[list[MatchingRule], str]:
        """Rules whose FROM takes the fleet's topics; and why that is not known, if so."""
        topics = [
            f"{self._fleet.topic_prefix}/{board.buoy_id}/data/".encode() for board in self._fleet.boards[:1]
        ]
        rules: list[MatchingRule] = []
        try:
            for page in self._account.pages("iot", "list_topic_rules", token=("nextToken", "nextToken")):
                for entry in page.get("rules", []):
                    if entry.get("ruleDisabled"):
                        continue
                    pattern = entry.get("topicPattern") or ""
                    if pattern and not _takes(pattern, topics):
                        continue
                    name = entry["ruleName"]
                    rule = self._account.call("iot", "get_topic_rule", on=name, ruleName=name)["rule"]
                    if not pattern and not _takes(_from_of(rule["sql"]), topics):
                        continue
                    rules.append(
                        MatchingRule(
                            name,
                            rule["sql"],
                            rule.get("awsIotSqlVersion", "2015-10-08"),
                            ", ".join(_destination(action) for action in rule.get("actions", []))
                            or "nothing",
                        )
                    )
        except AwsError as error:
            return rules, error.what
        return rules, ""

    def _rules_check(self, rules: list[MatchingRule], problem: str) -> Check:
        spec, name = self._spec, "rules"
        if problem:
            detail = f"whether other rules carry these topics away is not known: {problem}"
            return Check(name, False, detail, f"buoy cloud policy --for run; or {_ALLOW}")
        known = set(spec.rules)
        foreign = [rule for rule in rules if rule.name not in known]
        if foreign:
            detail = f"rule {foreign[0].name}, which is not the pipeline's, carries these topics to " + (
                foreign[0].leads_to + (f"; so do {len(foreign) - 1} more" if foreign[1:] else "")
            )
            next_step = f"use a topic prefix of its own (`topic_prefix: {spec.name}/0`); or {_ALLOW}"
            return Check(name, False, detail, next_step)
        missing = known - {rule.name for rule in rules}
        if missing:
            detail = f"no rule {' or '.join(sorted(missing))} takes {self._fleet.topic_prefix}/<id>/data/"
            return Check(name, False, detail, f"correct target.timestream_rule or topic_prefix; or {_ALLOW}")
        return Check(name, True, f"{len(rules)} rules, all of the pipeline")

    def _things_check(self) -> Check:
        """Things that were made for something else than tests."""
        name = "things"
        try:
            enrolled = read_enrolled(self._account, self._spec)
        except AwsError as error:
            detail = f"whether the boards are test things is not known: {error.what}"
            return Check(
                name, False, detail, f"{error.next_step or 'buoy cloud policy --for run'}; or {_ALLOW}"
            )
        boards = self._fleet.boards
        strange = [board for board in boards if enrolled.get(board.thing_name, {}).get(USE) != USE_TEST]
        if strange:
            example = strange[0].thing_name
            detail = f"{len(strange)} of {len(boards)} things are not of a test fleet, e.g. {example}"
            return Check(name, False, detail, f"buoy cloud enroll makes things for tests; or {_ALLOW}")
        return Check(name, True, f"{len(boards)} things of a test fleet")

    def _connected_check(self) -> Check:
        connections, problem = ask_connections(
            self._account, [board.thing_name for board in self._fleet.boards]
        )
        connected = [one.thing for one in connections if one.connected]
        if connected:
            detail = f"{connected[0]} is connected right now" + (
                f", and {len(connected) - 1} more" if connected[1:] else ""
            )
            next_step = f"stop them, or use other ids: a second connection throws the first out; or {_ALLOW}"
            return Check("connected", False, detail, next_step)
        if problem:
            # Publishing boards are found by listening, too: no reason to refuse.
            return Check("connected", True, f"not known: {problem}")
        return Check("connected", True, "none of the boards is connected")

    async def _publishing_check(self, endpoint: Endpoint, manners: Manners) -> Check:
        """Listen for a while: nobody may publish under these ids."""
        name = "publishing"
        ids: dict[int, float | None] = {board.buoy_id: None for board in self._fleet.boards}
        if not self._spec.listen_s:
            return Check(name, True, "not listened for (target.listen: 0 s)")
        witness = Witness(self._fleet.topic_prefix, ids, client_id=manners.witness, settle_s=manners.settle_s)
        try:
            await witness.open(endpoint)
        except TargetError as error:
            return Check(
                name, False, f"it could not be listened for: {error.what}", f"{error.next_step}; or {_ALLOW}"
            )
        try:
            await asyncio.sleep(self._spec.listen_s)
        finally:
            await witness.disconnect()
        heard = sorted(buoy for buoy, count in witness.seen.items() if count)
        if heard:
            detail = f"buoys {ids_shown(heard)} published within {duration_text(self._spec.listen_s)}"
            return Check(name, False, detail, f"stop them, or use other ids; or {_ALLOW}")
        return Check(name, True, f"no client did within {duration_text(self._spec.listen_s)}")


def _series(spec: AwsSpec) -> str:
    if spec.influxdb is not None:
        return f"InfluxDB {spec.influxdb.url} {spec.influxdb.database}"
    return f"Timestream {spec.database}.{spec.table}"


def _takes(pattern: str, topics: list[bytes]) -> bool:
    return any(topic_matches(pattern.encode(), topic, hash_matches_parent=False) for topic in topics)


def _from_of(sql: str) -> str:
    """The topic filter of a rule; one that takes everything where it cannot be told."""
    found = re.search(r"\bFROM\s+['\"]([^'\"]+)['\"]", sql, re.IGNORECASE)
    return found[1] if found else "#"


_DESTINATIONS: dict[str, Callable[[dict[str, str]], str]] = {
    "timestream": lambda action: f"Timestream {action.get('databaseName')}.{action.get('tableName')}",
    "influxDB": lambda action: f"InfluxDB {action.get('databaseName')}",
    "kinesis": lambda action: f"stream {action.get('streamName')}",
    "firehose": lambda action: f"Firehose {action.get('deliveryStreamName')}",
    "s3": lambda action: f"bucket {action.get('bucketName')}",
    "lambda": lambda action: f"function {action.get('functionArn', '').rpartition(':')[2]}",
    "dynamoDB": lambda action: f"table {action.get('tableName')}",
    "republish": lambda action: f"topic {action.get('topic')}",
}


def _destination(action: dict[str, dict[str, str]]) -> str:
    kind, settings = next(iter(action.items()))
    return _DESTINATIONS[kind](settings) if kind in _DESTINATIONS else kind
