"""The process in which the Lambda handler runs: `python lambda_worker.py HANDLER.py FUNCTION`.

Frames on standard input and output: 4 bytes length (big endian), then JSON.

    in   {"event": …, "context": {"aws_request_id", "invoked_function_arn", "timeout_ms"}}
    out  {"result": …} or {"error": {"errorType", "errorMessage", "stackTrace"}}
    out  {"ready": true} once, or {"error": …} when the handler cannot be imported

What the handler prints goes to standard error, the stand-in for its CloudWatch log. The file imports nothing
of the project, so that it starts fast and a handler sees the interpreter it would see in Lambda. The contract
is that of AWS's runtime interface client (awslambdaric): its context, and simplejson for what is returned.
"""

import decimal
import importlib.util
import io
import json
import math
import os
import sys
import threading
import time
import traceback
import types

import simplejson


class Encoder(simplejson.JSONEncoder):  # type: ignore[misc]
    """As awslambdaric: bytes are text, a Decimal keeps its digits, NaN among Decimals is NaN."""

    def __init__(self) -> None:
        super().__init__(use_decimal=False, allow_nan=True)

    def default(self, obj: object) -> object:
        """What simplejson does not know itself."""
        if isinstance(obj, decimal.Decimal):
            return math.nan if obj.is_nan() else simplejson.RawJSON(str(obj))
        return super().default(obj)


class Context:
    """Lambda's context object: function and log by the environment, as awslambdaric makes it."""

    def __init__(self, values: dict) -> None:  # type: ignore[type-arg]
        self.aws_request_id = values["aws_request_id"]
        self.invoked_function_arn = values["invoked_function_arn"]
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.client_context = None
        self.identity = types.SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None)
        self._end = time.monotonic() + values["timeout_ms"] / 1000

    def log(self, message: object) -> None:
        """Into the function's log."""
        sys.stderr.write(str(message))

    def get_remaining_time_in_millis(self) -> int:
        """By the wall clock; the timeout itself acts on the modelled duration, outside."""
        return max(0, int((self._end - time.monotonic()) * 1000))


def _error(error: BaseException) -> dict:  # type: ignore[type-arg]
    return {
        "error": {
            "errorType": type(error).__name__,
            "errorMessage": str(error),
            "stackTrace": traceback.format_exception(error),
        }
    }


def _read(source: int, size: int) -> bytes:
    chunks = []
    while size:
        chunk = os.read(source, min(size, 1 << 20))
        if not chunk:
            return b""
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


PARENT_LOOK_S = 1.0


def _end_with(parent: int) -> None:
    """A handler that hangs does not see the end of its input: when the twin is gone, end anyway."""
    while os.getppid() == parent:
        time.sleep(PARENT_LOOK_S)
    os._exit(1)


def main() -> int:
    """Serve until standard input ends."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    # The protocol gets descriptors of its own; print() and fd 1 of the handler lead to the log.
    source, out = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a log that is read while the function lives

    def send(message: dict) -> None:  # type: ignore[type-arg]
        try:
            body = encode(message).encode()
        except (TypeError, ValueError, RecursionError) as error:
            failed = _error(error)
            failed["error"]["errorType"] = "Runtime.MarshalError"
            failed["error"]["errorMessage"] = f"Unable to marshal response: {error}"
            body = json.dumps(failed).encode()
        view = memoryview(len(body).to_bytes(4, "big") + body)
        while view:
            view = view[os.write(out, view) :]

    encode = Encoder().encode
    path, function = sys.argv[1], sys.argv[2]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    try:
        spec = importlib.util.spec_from_file_location("handler", path)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        handler = getattr(module, function)
    except BaseException as error:
        send(_error(error))
        return 1
    send({"ready": True})
    while True:
        head = _read(source, 4)
        if not head:
            return 0
        request = json.loads(_read(source, int.from_bytes(head, "big")))
        try:
            result = handler(request["event"], Context(request["context"]))
        except Exception as error:
            send(_error(error))
        else:
            send({"result": result})


if __name__ == "__main__":
    raise SystemExit(main())
