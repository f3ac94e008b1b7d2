"""Invocations of the Lambda function by Firehose: attempts, modelled time, the timeout, the evidence."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from host.cloud.local.agenda import Agenda
from host.cloud.local.faults import StageFaults
from host.cloud.local.firehose_events import (
    FUNCTION_ERROR,
    PROCESSING_FAILED,
    TIMED_OUT,
    Failure,
    Transformed,
    event,
    read_response,
)
from host.cloud.local.kinesis import Record
from host.cloud.local.lambda_runtime import MAX_PAYLOAD_BYTES, Answer, LambdaModel, LambdaRuntime
from host.cloud.local.trace import Trace
from host.model.stage_count import StageCount

STAGE = "lambda"
ATTEMPTS = 4
"""One invocation and three retries (Firehose guide, data transformation failures)."""
MAX_NOTES = 20
_NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class _Attempt:
    batch: list[Record]
    number: int
    """From 1."""
    running: "asyncio.Future[Answer] | None" = None
    """The real run; None where the modelled duration is beyond the timeout."""


class LambdaStage:
    """One function, called for one batch after another. Results go to the callbacks at their modelled time.

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
        self._queue: deque[list[Record]] = deque()
        self._running: list[Record] = []
        self._busy = False
        self._cold = True
        self._invocations = 0
        self._errors = 0
        self._runs = 0
        self._modelled_s = self._longest_s = 0.0
        self._notes: list[str] = []
        self.count = StageCount(STAGE, "records")

    def submit(self, at_ns: int, batch: list[Record]) -> None:
        """Invoke the function for a batch, now or after those before it."""
        self._queue.append(batch)
        if not self._busy:
            self._next(at_ns)

    def waiting(self) -> list[Record]:
        """Records in invocations that run or wait."""
        return [*self._running, *(record for batch in self._queue for record in batch)]

    def _next(self, at_ns: int) -> None:
        while self._queue:
            batch = self._enter(at_ns, self._queue.popleft())
            if batch:
                self._busy = True
                self._running = batch
                self._attempt(at_ns, batch, 1)
                return
        self._busy = False
        self._running = []

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
        duration_s = self._model.duration_s(len(batch), self._cold)
        self._invocations += 1
        attempt = _Attempt(batch, number)
        if duration_s > self._model.limit_s:
            self._cold = True  # Lambda ends the environment of a function that timed out
            limit_s = self._model.limit_s
            self._took(limit_s)
            self._note(
                f"Task timed out after {limit_s:.2f} seconds "
                f"({len(batch)} records need {duration_s:.2f} s, attempt {number} of {ATTEMPTS})"
            )
            self._agenda.at(at_ns + round(limit_s * _NS_PER_S), self._ended, attempt)
            return
        self._cold = False
        self._took(duration_s)
        request = event(batch, self._invocations)
        if len(request) > MAX_PAYLOAD_BYTES:
            attempt.running = asyncio.get_running_loop().create_future()
            attempt.running.set_result(
                Answer(error_type="RequestTooLarge", error_message=f"{len(request)} bytes; Lambda takes 6 MB")
            )
        else:
            attempt.running = asyncio.ensure_future(self._runtime.invoke(request))
        self._agenda.at(at_ns + round(duration_s * _NS_PER_S), self._ended, attempt)

    async def _ended(self, at_ns: int, attempt: _Attempt) -> None:
        failure, detail = TIMED_OUT, self._timeout_words(attempt)
        if attempt.running is not None:
            answer = await attempt.running
            result = read_response(attempt.batch, answer.result) if not answer.error_type else FUNCTION_ERROR
            if isinstance(result, Transformed):
                self._deliver(at_ns, result)
                self._next(at_ns)
                return
            failure = result
            detail = f"{answer.error_type}: {answer.error_message}" if answer.error_type else failure.message
            self._note(detail)
            if answer.error_type:
                self._cold = True
        self._errors += failure.retried
        if failure.retried and attempt.number < ATTEMPTS:
            self._attempt(at_ns, attempt.batch, attempt.number + 1)
            return
        self._give_up(at_ns, attempt.batch, failure, attempt.number, detail)
        self._next(at_ns)

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
        words = f"{detail}; {attempts} attempt{'s' if attempts > 1 else ''}, now under processing-failed/"
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
            waiting=len(self._running),
            metrics={
                "AWS/Lambda Invocations": self._invocations,
                "AWS/Lambda Errors": self._errors,
                "AWS/Lambda Throttles": 0,
                "AWS/Lambda ConcurrentExecutions.Maximum": min(1, self._runs),
                "AWS/Lambda Duration.Maximum": self._longest_s * 1000,
                "AWS/Lambda Duration.Average": self._modelled_s * 1000 / max(1, self._runs),
            },
            simulated_s=self._modelled_s,
            wall_s=self._runtime.usage.wall_s,
            notes=list(self._notes),
        )
