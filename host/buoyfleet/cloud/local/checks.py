"""What can be checked of a twin's settings before one is started."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buoyfleet.cloud.local.config import TwinConfig, problems_of
from buoyfleet.cloud.local.control_client import ANSWER_TIMEOUT_S, ControlClient, mismatch_of, parse_address
from buoyfleet.cloud.local.lambda_runtime import handler_file, worker_command
from buoyfleet.cloud.local.lambda_variables import read_variables
from buoyfleet.cloud.target import Check
from buoyfleet.model.errors import TargetError, UsageError

if TYPE_CHECKING:
    from buoyfleet.cloud.influxdb import InfluxClient


def settings_checks(config: TwinConfig) -> list[Check]:
    """Settings, rules, policy and handler; what is as usual and cannot be wrong is left out."""
    checks = [handler_check(config)]
    problems = problems_of(config)
    if problems:
        checks.append(Check("twin settings", False, "; ".join(problems), "correct `target.twin`"))
    elif config.has_own_rules:
        checks.append(rules_check(config))
    if config.twin.tls is not None and config.twin.tls.policy:
        checks.append(policy_check(config.twin.tls.policy))
    return checks


async def attach_check(address: str, payload: str, topic_prefix: str) -> tuple[Check, dict[str, Any]]:
    """Whether a twin to attach to is there and fits the run; and what it says of itself."""
    name = "twin"
    control = None
    try:
        control = ControlClient(*parse_address(address))
        await control.open(ANSWER_TIMEOUT_S)
        status = await control.request("status", ANSWER_TIMEOUT_S)
    except ValueError as error:
        return Check(name, False, f"{address}: {error}", "buoy twin"), {}
    except TargetError as error:
        return Check(name, False, f"{address}: {error.what}", error.next_step or "buoy twin"), {}
    finally:
        if control is not None:
            control.close()
    mismatch = mismatch_of(status, payload, topic_prefix)
    detail = mismatch or f"{address}, running for {status['uptime_s']:.0f} s"
    return Check(name, not mismatch, detail, "start another with `buoy twin`"), status


async def port_check(host: str, port: int) -> Check:
    """Whether the twin's port is free."""
    try:
        server = await asyncio.start_server(lambda _reader, _writer: None, host, port)
    except OSError as error:
        detail = f"{host}:{port}: {error.strerror or error}"
        return Check("twin port", False, detail, "give another target.port, or 0 for any free one")
    server.close()
    await server.wait_closed()
    return Check("twin port", True, f"{host}:{port} is free")


def handler_check(config: TwinConfig) -> Check:
    """Whether the Lambda handler's file is there, and what runs it."""
    path, _function = handler_file(config.handler_path)
    if not (path.is_file() and os.access(path, os.R_OK)):
        return Check("lambda handler", False, f"{path} cannot be read", f"make {path} readable")
    try:
        worker_command(config.handler_path)
    except FileNotFoundError as error:
        from buoyfleet.programs.catalogue import NODE
        from buoyfleet.programs.fetch import by_hand

        return Check("lambda handler", False, str(error), f"{by_hand(NODE)}; or give a Python handler")
    try:
        read_variables(config.twin.lambda_environment)
    except UsageError as error:
        return Check("lambda handler", False, f"{error.where}: {error.what}", "correct the variables")
    return Check("lambda handler", True, str(path))


def rules_check(config: TwinConfig) -> Check:
    """Whether the rules engine runs the rules."""
    from buoyfleet.cloud.local.functions import LocalFunctions
    from buoyfleet.cloud.local.rule_compile import Chance, Message, Topic
    from buoyfleet.cloud.local.rules import Rule

    names = []
    for spec in config.rules():
        try:
            functions = LocalFunctions(config.twin.functions, Path(config.folder))
            rule = Rule(spec, Chance(config.seed), Message(functions=functions))
            rule.bind(Topic.of(f"{config.topic_prefix}/1/data/"))
            for template in (text for action in spec.store_actions for text in vars_of(action)):
                rule.template(template, Topic.of("a/b/c"))
        except UsageError as error:
            return Check("rules", False, f"rule {spec.name}: {error.what} ({error.where})", error.next_step)
        names.append(spec.name)
    return Check("rules", True, ", ".join(names))


def vars_of(action: object) -> list[str]:
    """The substitution templates of an action."""
    texts = [getattr(action, name, "") for name in ("dimension", "timestamp", "partition_key", "tag")]
    return [text for text in texts if text]


def policy_check(path: str) -> Check:
    """Whether IoT Core, and the twin, take the policy."""
    from buoyfleet.cloud.local.registry import read_policy

    try:
        read_policy(path)
    except UsageError as error:
        return Check("policy", False, f"{error.where}: {error.what}", "correct the policy document")
    return Check("policy", True, path)


def influx_check(client: "InfluxClient") -> Check:
    """Whether the InfluxDB answers and has the database."""
    try:
        version = client.ping()
        client.types()
    except TargetError as error:
        return Check("influxdb", False, f"{client.where}: {error.what}", error.next_step)
    finally:
        client.close()
    return Check("influxdb", True, f"{client.where}, version {version}")
