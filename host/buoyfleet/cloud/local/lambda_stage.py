"""Invocations of the Lambda function by Firehose: attempts, modelled time, the timeout, the evidence."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from buoyfleet.cloud.local.agenda import Agenda
from buoyfleet.cloud.local.faults import StageFaults
from buoyfleet.cloud.local.firehose_events import (
    FUNCTION_ERROR,
    OUT_OF_MEMORY,
    PROCESSING_FAILED,
    THROTTLED,
    TIMED_OUT,
    Failure,
    Transformed,
    event,
    read_response,
)
from buoyfleet.cloud.local.kinesis import Record
from buoyfleet.cloud.local.lambda_runtime import MAX_PAYLOAD_BYTES, Answer, LambdaModel, LambdaRuntime
from buoyfleet.cloud.local.trace import Trace
from buoyfleet.cloud.s3_reader import FAILED_PREFIX
from buoyfleet.model.stage_count import StageCount

STAGE = "lambda"
ATTEMPTS = 4
"""One invocation and three retries (Firehose guide, data transformation failures)."""
THROTTLE_RETRY_S = 1.0
"""Between attempts that found no execution free; Firehose does not say how long it waits."""
MAX_NOTES = 20
_NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class _Attempt:
    batch: list[Record]
    number: int
    """From 1."""
    running: "asyncio.Future[Answer] | None" = None
    """The real run; None where the model says that it fails."""
    failure: Failure = TIMED_OUT
    """Why the model says so."""
    executing: bool = True
    """Whether it holds an execution: what is throttled does not."""


class LambdaStage:
    """One function, called for as many batches at once as the stream has shards: Firehose reads each shard.
    Results go to the callbacks at their modelled time.

    Args:
        transformed: called with (time, what the handler made of a batch).
        failed: called with (time, records, failure, attempts made).
        hold_back: called with (time, record) for a record whose rehearsed delay is over.
    """

    def __init__(
        self,
        agenda: Agenda,
        trace: Trace,
        runtime: LambdaRuntime,
        model: LambdaModel,
        faults: StageFaults | None,
        transformed: Callable[[int, Transformed], None],
        failed: Callable[[int, list[Record], Failure, int], None],
        hold_back: Callable[[int, Record], None],
        parallel: int = 1,
        error_prefix: str = FAILED_PREFIX,
    ) -> None:
        self._agenda = agenda
        self._trace = trace
        self._entries = trace.entries(STAGE)
        self._runtime = runtime
        self._model = model
        self._faults = faults
        self._transformed = transformed
        self._failed = failed
        self._hold_back = hold_back
        self._parallel = parallel
        self._error_prefix = error_prefix
        self._queue: deque[list[Record]] = deque()
        self._batches: list[list[Record]] = []
        """In invocations that run, or wait for their next attempt."""
        self._executing = self._most_executing = 0
        self._warm = 0
        """Execution environments that stand ready."""
        self._throttles = 0
        self._invocations = 0
        self._errors = 0
        self._runs = 0
        self._modelled_s = self._longest_s = 0.0
        self._notes: list[str] = []
        self.count = StageCount(STAGE, "records")

    def submit(self, at_ns: int, batch: list[Record]) -> None:
        """Invoke the function for a batch, now or after those before it."""
        self._queue.append(batch)
        self._next(at_ns)

    def waiting(self) -> list[Record]:
        """Records in invocations that run or wait."""
        return [record for batches in (self._batches, self._queue) for batch in batches for record in batch]

    def _next(self, at_ns: int) -> None:
        while self._queue and len(self._batches) < self._parallel:
            batch = self._enter(at_ns, self._queue.popleft())
            if batch:
                self._batches.append(batch)
                self._attempt(at_ns, batch, 1)

    def _done(self, at_ns: int, batch: list[Record]) -> None:
        """A batch is over: the next may begin."""
        self._batches = [one for one in self._batches if one is not batch]
        self._next(at_ns)

    def _enter(self, at_ns: int, batch: list[Record]) -> list[Record]:
        if self._faults is not None:
            batch = [part for record in batch for part in self._faulted(at_ns, record, self._faults)]
        self._entries.numbers.extend([record.message for record in batch])
        self._entries.times.extend([at_ns] * len(batch))
        self.count.entered += len(batch)
        return batch

    def _faulted(self, at_ns: int, record: Record, faults: StageFaults) -> list[Record]:
        if record.released == STAGE:
            return [record]
        parts = faults.data(record.buoy, record.data)
        if parts is None:
            return [record]
        now = []
        for copy, (data, delay_ns) in enumerate(parts):
            # A second record of the stream has a sequence number of its own, so that ids stay unique.
            sequence = record.sequence + copy * (1 << 60)
            part = replace(record, data=data, sequence=sequence, released=STAGE)
            if delay_ns:
                self._agenda.at(at_ns + delay_ns, self._hold_back, part)
            else:
                now.append(part)
        return now

    def _attempt(self, at_ns: int, batch: list[Record], number: int) -> None:
        attempt = _Attempt(batch, number)
        model, records = self._model, len(batch)
        if self._executing >= model.concurrency:
            self._throttles += 1
            attempt.failure, attempt.executing = THROTTLED, False
            self._note(f"TooManyRequestsException: {self._throttle_words()} (attempt {number} of {ATTEMPTS})")
            self._agenda.at(at_ns + round(THROTTLE_RETRY_S * _NS_PER_S), self._ended, attempt)
            return
        self._invocations += 1
        self._executing += 1
        self._most_executing = max(self._most_executing, self._executing)
        cold = not self._warm
        self._warm -= not cold
        duration_s = min(model.duration_s(records, cold), model.limit_s)
        self._took(duration_s)
        self._agenda.at(at_ns + round(duration_s * _NS_PER_S), self._ended, attempt)
        if model.needed_mb(records) > model.memory_mb:
            attempt.failure = OUT_OF_MEMORY
            self._note(
                f"Runtime exited with error: signal: killed; Memory Size: {model.memory_mb} MB, Max Memory "
                f"Used: {model.memory_mb} MB ({records} records, attempt {number} of {ATTEMPTS})"
            )
        elif model.duration_s(records, cold) > model.limit_s:
            self._note(
                f"Task timed out after {model.limit_s:.2f} seconds ({records} records need "
                f"{model.duration_s(records, cold):.2f} s, attempt {number} of {ATTEMPTS})"
            )
        else:
            attempt.running = self._run(batch)

    def _run(self, batch: list[Record]) -> "asyncio.Future[Answer]":
        """The real run of the handler."""
        request = event(batch, self._invocations)
        if len(request) <= MAX_PAYLOAD_BYTES:
            return asyncio.ensure_future(self._runtime.invoke(request))
        refused: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        refused.set_result(
            Answer(error_type="RequestTooLarge", error_message=f"{len(request)} bytes; Lambda takes 6 MB")
        )
        return refused

    async def _ended(self, at_ns: int, attempt: _Attempt) -> None:
        self._executing -= attempt.executing
        failure, detail = attempt.failure, self._words(attempt)
        if attempt.running is not None:
            answer = await attempt.running
            result = read_response(attempt.batch, answer.result) if not answer.error_type else FUNCTION_ERROR
            # Lambda ends the environment of a function that timed out or crashed, and keeps any other.
            self._warm += not answer.error_type
            if isinstance(result, Transformed):
                self._deliver(at_ns, result)
                self._done(at_ns, attempt.batch)
                return
            failure = result
            detail = f"{answer.error_type}: {answer.error_message}" if answer.error_type else failure.message
            self._note(detail)
        self._errors += failure.retried and attempt.executing
        if failure.retried and attempt.number < ATTEMPTS:
            self._attempt(at_ns, attempt.batch, attempt.number + 1)
            return
        self._give_up(at_ns, attempt.batch, failure, attempt.number, detail)
        self._done(at_ns, attempt.batch)

    def _words(self, attempt: _Attempt) -> str:
        model, records = self._model, len(attempt.batch)
        if attempt.failure is THROTTLED:
            return self._throttle_words()
        if attempt.failure is OUT_OF_MEMORY:
            return (
                f"{records} records need {model.needed_mb(records):.0f} MB ({model.base_memory_mb:g} MB and "
                f"{model.record_memory_kb:g} kB each), the function has {model.memory_mb} MB"
            )
        return self._timeout_words(attempt)

    def _throttle_words(self) -> str:
        busy = f", {self._executing} of them busy" if self._executing else ""
        left = self._model.concurrency
        return f"the account leaves the function {left} execution{'' if left == 1 else 's'} at once{busy}"

    def _timeout_words(self, attempt: _Attempt) -> str:
        model, records = self._model, len(attempt.batch)
        limit = f"{model.limit_s:g} s"
        return (
            f"Task timed out after {limit}: {records} records at {model.per_record_ms:g} ms each "
            f"({model.memory_mb} MB) and a cold start of {model.cold_start_ms:g} ms need "
            f"{model.duration_s(records, True):.2f} s"
        )

    def _deliver(self, at_ns: int, result: Transformed) -> None:
        self.count.left += len(result.delivered)
        if result.dropped:
            detail = "the handler returned the record as Dropped"
            for record in result.dropped:
                self._trace.rejected(STAGE, record.message, None, "dropped-by-handler", detail, at_ns)
            self._reject("dropped-by-handler", len(result.dropped))
        if result.failed:
            self._give_up(
                at_ns,
                result.failed,
                PROCESSING_FAILED,
                1,
                "the handler returned the record as ProcessingFailed",
            )
        self._transformed(at_ns, result)

    def _give_up(
        self, at_ns: int, records: list[Record], failure: Failure, attempts: int, detail: str
    ) -> None:
        words = f"{detail}; {attempts} attempt{'s' if attempts > 1 else ''}, now under {self._error_prefix}"
        self._trace.failed(STAGE, [record.message for record in records], failure.reason, words, at_ns)
        self._reject(failure.reason, len(records))
        self._failed(at_ns, records, failure, attempts)

    def _reject(self, reason: str, records: int) -> None:
        self.count.rejected[reason] = self.count.rejected.get(reason, 0) + records

    def _took(self, duration_s: float) -> None:
        self._runs += 1
        self._modelled_s += duration_s
        self._longest_s = max(self._longest_s, duration_s)

    def restart_gauges(self) -> None:
        """Begin anew what cannot be told by subtracting: maxima, means, times, log lines."""
        self._runs = 0
        self._modelled_s = self._longest_s = 0.0
        self._runtime.usage.wall_s = 0.0
        self._most_executing = self._executing
        self._notes.clear()

    def _note(self, line: str) -> None:
        if len(self._notes) < MAX_NOTES:
            self._notes.append(line)
        elif len(self._notes) == MAX_NOTES:
            self._notes.append("further lines are left out")

    def stage_count(self) -> StageCount:
        """Counters so far, a copy. Simulated time is the modelled duration, wall time the real one."""
        return StageCount(
            STAGE,
            "records",
            self.count.entered,
            self.count.left,
            dict(self.count.rejected),
            waiting=sum(map(len, self._batches)),
            metrics={
                "AWS/Lambda Invocations": self._invocations,
                "AWS/Lambda Errors": self._errors,
                "AWS/Lambda Throttles": self._throttles,
                "AWS/Lambda ConcurrentExecutions.Maximum": self._most_executing,
                "AWS/Lambda Duration.Maximum": self._longest_s * 1000,
                "AWS/Lambda Duration.Average": self._modelled_s * 1000 / max(1, self._runs),
            },
            simulated_s=self._modelled_s,
            wall_s=self._runtime.usage.wall_s,
            notes=list(self._notes),
        )
