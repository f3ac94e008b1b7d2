"""Runs the Lambda handler in a process of its own, and models how long that would take in Lambda.

The handler really runs, on the real JSON event; what it returns is what is delivered. Its *duration* is
modelled from constants, and the Lambda timeout acts on the modelled duration, so that a verdict is the same
on every machine. The wall clock is only a protection against a handler that hangs.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from buoyfleet.cloud.local.lambda_variables import read_variables
from buoyfleet.model.fleet import TwinSpec

_Worker = subprocess.Popen[bytes]

REFERENCE_MEMORY_MB = 128
"""Where `lambda_per_record_ms` holds; CPU grows in proportion to memory (Lambda guide, memory)."""
FIREHOSE_MAX_TIMEOUT_S = 300.0
"""Firehose waits at most 5 minutes for an invocation, whatever the function's own timeout."""
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
"""Request and response of a synchronous invocation (Lambda quotas)."""
FUNCTION_NAME = "datatransform"
REGION = "us-east-1"
"""Where the twin says it is: a handler may take its clients' region from it."""
_ARN = f"arn:aws:lambda:{REGION}:000000000000:function:"
LAMBDA_ARN = f"{_ARN}{FUNCTION_NAME}"
START_LIMIT_S = 20.0
"""Wall clock, for the worker process to come up."""


@dataclass(frozen=True, slots=True)
class LambdaModel:
    """How long an invocation takes in Lambda, and after how long it is stopped."""

    timeout_s: float
    memory_mb: int
    cold_start_ms: float
    per_record_ms: float
    base_memory_mb: float = 0.0
    record_memory_kb: float = 0.0
    concurrency: int = 1000
    """Executions at once that the account leaves to the function."""

    @classmethod
    def of(cls, spec: TwinSpec) -> "LambdaModel":
        """From the twin's settings."""
        return cls(
            spec.lambda_timeout_s,
            spec.lambda_memory_mb,
            spec.lambda_cold_start_ms,
            spec.lambda_per_record_ms,
            spec.lambda_base_memory_mb,
            spec.lambda_record_memory_kb,
            spec.lambda_concurrency,
        )

    def duration_s(self, records: int, cold: bool) -> float:
        """Modelled duration. A cold start counts as part of it, so that it can tip an invocation over."""
        work_ms = records * self.per_record_ms * REFERENCE_MEMORY_MB / self.memory_mb
        return (work_ms + (self.cold_start_ms if cold else 0.0)) / 1000

    def needed_mb(self, records: int) -> float:
        """Modelled use of memory by an invocation."""
        return self.base_memory_mb + records * self.record_memory_kb / 1000

    @property
    def limit_s(self) -> float:
        """When an invocation by Firehose is stopped."""
        return min(self.timeout_s, FIREHOSE_MAX_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one real run of the handler."""

    result: Any = None
    """The handler's return value, as JSON gives it."""
    error_type: str = ""
    """Empty: it returned."""
    error_message: str = ""


@dataclass(slots=True)
class RuntimeUsage:
    """Wall time of the real runs."""

    runs: int = 0
    wall_s: float = 0.0
    restarts: int = 0
    notes: list[str] = field(default_factory=list)


class LambdaRuntime:
    """The worker process. One invocation at a time; it is started again after a crash or a hang."""

    def __init__(
        self,
        handler: Path,
        log: Path,
        *,
        wall_limit_s: float,
        memory_mb: int,
        timeout_s: float,
        variables: str = "",
        name: str = FUNCTION_NAME,
    ) -> None:
        """Nothing is started yet.

        Args:
            handler: a file, or `file.function`.
            log: what the handler prints.
            wall_limit_s: protection against a handler that hangs.
            memory_mb: what the handler is told that it has.
            timeout_s: the same for its time.
            variables: file of the function's own variables.
            name: of the function.

        Raises:
            UsageError: the variables cannot be used.
        """
        self._handler = handler
        self._log = log
        self._wall_limit_s = wall_limit_s
        self._memory_mb = memory_mb
        self._timeout_s = timeout_s
        self._variables = read_variables(variables)
        self._name = name
        self._process: _Worker | None = None
        self._lock = asyncio.Lock()
        self.usage = RuntimeUsage()

    async def warm_up(self) -> None:
        """Start the worker ahead of the first invocation; a failure shows at the first invocation."""
        async with self._lock:
            with contextlib.suppress(_WorkerError):
                await self._started()

    async def invoke(self, event: bytes) -> Answer:
        """Run the handler on one JSON event. Errors of the handler are answers, not exceptions."""
        async with self._lock:
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._wall_limit_s):
                    return await self._exchange(event)
            except TimeoutError:
                await self._end()
                return Answer(
                    error_type="WallClockProtection",
                    error_message=f"the handler ran for {self._wall_limit_s:g} s of real time and was ended",
                )
            except _WorkerError as error:
                await self._end()
                return Answer(error_type=error.kind, error_message=str(error))
            except asyncio.CancelledError:
                # Its late answer must not be taken for that of the next invocation.
                if self._process is not None:
                    self._process.kill()
                raise
            finally:
                self.usage.runs += 1
                self.usage.wall_s += time.monotonic() - began

    async def close(self) -> None:
        """End the worker. Safe to call twice."""
        async with self._lock:
            await self._end()

    async def _exchange(self, event: bytes) -> Answer:
        process = await self._started()
        context = {
            "aws_request_id": str(uuid.uuid4()),
            "invoked_function_arn": f"{_ARN}{self._name}",
            "timeout_ms": self._timeout_s * 1000,
        }
        body = b'{"event":' + event + b',"context":' + json.dumps(context).encode() + b"}"
        message = await asyncio.to_thread(self._frame, process, len(body).to_bytes(4, "big") + body)
        error = message.get("error")
        if error is not None:
            return Answer(error_type=str(error["errorType"]), error_message=str(error["errorMessage"]))
        return Answer(message["result"])

    def _frame(self, process: _Worker, request: bytes) -> dict[str, Any]:
        """In a thread: on the loop each piece of a large answer would wait for the messages of all boards."""
        if process.stdin is None or process.stdout is None:
            raise _WorkerError("Runtime.ExitError", "the worker has no pipes")
        try:
            if request:
                process.stdin.write(request)
                process.stdin.flush()
            size = int.from_bytes(_exactly(process.stdout, 4), "big")
            message: dict[str, Any] = json.loads(_exactly(process.stdout, size))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            code = process.wait()
            raise _WorkerError(
                "Runtime.ExitError", f"the handler's process ended with status {code}; see {self._log.name}"
            ) from None
        return message

    async def _started(self) -> _Worker:
        # A worker that was killed between two invocations is replaced, as Lambda replaces a sandbox.
        if self._process is not None and self._process.poll() is None:
            return self._process
        if self._process is not None:
            self.usage.restarts += 1
        try:
            command = worker_command(self._handler)
        except FileNotFoundError as missing:
            raise _WorkerError("Runtime.InvalidEntrypoint", str(missing)) from None
        with self._log.open("ab") as log:
            self._process = process = await asyncio.to_thread(
                subprocess.Popen,
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**self._variables, **environment(self._handler, self._memory_mb, self._name)},
            )
        try:
            async with asyncio.timeout(START_LIMIT_S):
                message = await asyncio.to_thread(self._frame, process, b"")
        except TimeoutError:
            raise _WorkerError(
                "Runtime.Timeout", f"the worker did not start in {START_LIMIT_S:g} s"
            ) from None
        error = message.get("error")
        if error is not None:
            raise _WorkerError(
                "Runtime.ImportModuleError",
                f"{self._handler.name} cannot be imported: {error['errorType']}: {error['errorMessage']}",
            )
        return process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # does nothing where it has ended
        await asyncio.to_thread(process.wait)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    """So many bytes, or EOFError."""
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data


NODE_SUFFIXES = (".js", ".mjs", ".cjs")
PYTHON_SUFFIXES = (".py",)


def handler_file(handler: Path) -> tuple[Path, str]:
    """The file and its function: a file alone has the usual one, `app.main` is `main` of app.py, app.mjs, …

    Where no file fits, the path comes back as it is: whoever opens it says so.
    """
    for suffix in ("", *PYTHON_SUFFIXES, *NODE_SUFFIXES):
        file = handler if not suffix else handler.with_suffix(suffix)
        if file.is_file():
            return file, handler.suffix[1:] if suffix else _usual_function(file)
    return handler, _usual_function(handler)


def _usual_function(file: Path) -> str:
    return "handler" if file.suffix in NODE_SUFFIXES else "lambda_handler"


def worker_command(handler: Path) -> list[str]:
    """The program that runs a handler: Python, or node for JavaScript.

    Raises:
        FileNotFoundError: the handler is JavaScript and there is no node.
    """
    file, function = handler_file(handler)
    if file.suffix not in NODE_SUFFIXES:
        return [sys.executable, str(Path(__file__).with_name("lambda_worker.py")), str(file), function]
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        raise FileNotFoundError(f"{file.name} is JavaScript, and there is no node on this machine")
    return [node, str(Path(__file__).with_name("lambda_worker.mjs")), str(file), function]


def environment(handler: Path, memory_mb: int, name: str = FUNCTION_NAME) -> dict[str, str]:
    """What a handler finds in its environment (Lambda guide, "Defined runtime environment variables").

    Nothing of the user's own: neither variables nor credentials. The keys are there, as in Lambda, and open
    nothing.
    """
    file, function = handler_file(handler)
    javascript = file.suffix in NODE_SUFFIXES
    day = datetime.now(UTC).strftime("%Y/%m/%d")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return {
        "AWS_ACCESS_KEY_ID": "ASIALOCALTWIN",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs20.x" if javascript else f"AWS_Lambda_{version}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{day}/[$LATEST]{uuid.uuid4().hex}",
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "AWS_REGION": REGION,
        "AWS_SECRET_ACCESS_KEY": "local-twin",
        "AWS_SESSION_TOKEN": "local-twin",
        # So that no SDK falls back on files of the user.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": str(file.resolve().parent),
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": "/lib64:/usr/lib64:/var/runtime:/var/task:/opt/lib",
        "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
        "PYTHONUTF8": "1",
        "TZ": ":UTC",
        "_HANDLER": f"{file.stem}.{function}",
        "_X_AMZN_TRACE_ID": "Root=1-00000000-000000000000000000000000;Sampled=0",
    }


class _WorkerError(Exception):
    """The worker process failed, not the handler."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
