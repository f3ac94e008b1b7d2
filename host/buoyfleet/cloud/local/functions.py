"""Lambda functions that rules call: by the action `lambda`, and by `aws_lambda()` in a statement.

Each runs in a process of its own, as the function of the delivery stream does. The action does not wait for
its function; a statement does, and with it the broker: AWS says that such calls should end within 2 s.
"""

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, Final

from buoyfleet.cloud.local.lambda_runtime import Answer, LambdaRuntime
from buoyfleet.cloud.local.rule_tokens import RuleError
from buoyfleet.cloud.local.rule_values import UNDEFINED
from buoyfleet.model.twin import FunctionSpec

LOG: Final = "functions.log"
"""In the twin's folder: what the functions print."""
CALL_LIMIT_S: Final = 10.0
"""Wall clock; AWS's 2 s (IoT guide, `aws_lambda`) times five, as this computer does other things, too."""
START_S: Final = 30.0
MAX_PROBLEMS: Final = 20
_MEMORY_MB: Final = 128
_TIMEOUT_S: Final = 3.0


class LocalFunctions:
    """The functions of one twin. Nothing is started before the first call.

    Raises:
        UsageError: the variables of a function cannot be used.
    """

    def __init__(self, specs: tuple[FunctionSpec, ...], folder: Path) -> None:
        self._runtimes = {
            one.name: LambdaRuntime(
                Path(one.handler),
                folder / LOG,
                wall_limit_s=CALL_LIMIT_S,
                memory_mb=_MEMORY_MB,
                timeout_s=_TIMEOUT_S,
                variables=one.environment,
                name=one.name,
            )
            for one in specs
        }
        self.problems: dict[str, None] = {}
        """What failed, each once."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._under_way: set[Future[Answer]] = set()

    @property
    def names(self) -> frozenset[str]:
        """Functions that can be called."""
        return frozenset(self._runtimes)

    def call(self, name: str, event: str) -> Any:
        """Run a function and wait for it; None where it failed, which is among the problems then.

        Args:
            name: one of `names`.
            event: JSON.
        """
        answer = self._begin(name, event).result()
        self._look_at(name, answer)
        return None if answer.error_type else answer.result

    def send(self, name: str, event: str) -> None:
        """Run a function and do not wait for it (invocation type `Event`)."""
        begun = self._begin(name, event)
        self._under_way.add(begun)
        begun.add_done_callback(lambda done: self._ended(name, done))

    def close(self) -> None:
        """Let what is under way end, then end the functions. Safe to call twice."""
        loop, thread = self._loop, self._thread
        if self._closed or loop is None or thread is None:
            return
        self._closed = True
        wait(list(self._under_way), timeout=START_S)
        asyncio.run_coroutine_threadsafe(self._end(), loop).result(START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_S)
        loop.close()

    def _ended(self, name: str, done: "Future[Answer]") -> None:
        self._under_way.discard(done)
        self._look_at(name, done.result())

    def _begin(self, name: str, event: str) -> "Future[Answer]":
        return asyncio.run_coroutine_threadsafe(self._invoke(name, event.encode()), self._running())

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="functions", daemon=True)
            self._thread.start()
            # A start counts for no call: on AWS it is a matter of its own (cold start).
            asyncio.run_coroutine_threadsafe(self._warm_up(), self._loop).result(START_S)
        return self._loop

    async def _warm_up(self) -> None:
        await asyncio.gather(*(runtime.warm_up() for runtime in self._runtimes.values()))

    async def _invoke(self, name: str, event: bytes) -> Answer:
        return await self._runtimes[name].invoke(event)

    async def _end(self) -> None:
        for runtime in self._runtimes.values():
            await runtime.close()

    def _look_at(self, name: str, answer: Answer) -> None:
        if answer.error_type and len(self.problems) < MAX_PROBLEMS:
            self.problems[f"function {name}: {answer.error_type}: {answer.error_message[:200]}"] = None


def name_in(arn: str) -> str:
    """The name in an ARN of a function, with or without a version; a text without `:` is the name."""
    parts = arn.split(":")
    if len(parts) == 1:
        return arn
    return parts[6] if len(parts) > 6 and parts[2] == "lambda" and parts[5] == "function" else ""


Evaluate = Callable[[Any, int], Any]
"""(payload, time of processing in ns) → value or UNDEFINED."""


def called(functions: LocalFunctions | None, arn: Evaluate, constant: bool, value: Evaluate) -> Evaluate:
    """`aws_lambda(arn, input)`. A call that fails is Undefined (AWS does not say).

    Raises:
        RuleError: the function is the same for every message, and is none of the twin's.
    """
    known = frozenset[str]() if functions is None else functions.names
    if functions is not None and constant and name_in(str(arn({}, 0))) not in known:
        text = str(arn({}, 0))
        raise RuleError(f"aws_lambda() calls {text}, which is none of `target.twin.functions`", text)

    def call(payload: Any, at_ns: int) -> Any:
        name, event = name_in(str(arn(payload, at_ns))), value(payload, at_ns)
        if functions is None or name not in known or event is UNDEFINED:
            return UNDEFINED
        result = functions.call(name, json.dumps(event, separators=(",", ":")))
        return UNDEFINED if result is None else result

    return call
