"""Variables of a Lambda function, from a file that is kept apart: they may be secrets.

The file is a JSON object of texts, or what `aws lambda get-function-configuration` prints.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from buoyfleet.model.errors import UsageError

MAX_BYTES = 4096
"""Of all variables together (Lambda quotas)."""
# Lambda guide, "Using environment variables": at least two characters, the first a letter.
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")


def read_variables(file: str) -> dict[str, str]:
    """The variables of a file; an empty path has none.

    Raises:
        UsageError: unreadable, or Lambda would not take it.
    """
    if not file:
        return {}
    try:
        document = json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the variables cannot be read: {error.strerror}", where=file) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}", where=file) from None
    if isinstance(document, Mapping) and isinstance(document.get("Environment"), Mapping):
        document = document["Environment"].get("Variables", {})
    if not isinstance(document, Mapping) or not all(isinstance(value, str) for value in document.values()):
        raise UsageError("variables are a JSON object of texts", where=file)
    for name in document:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no name of a variable in Lambda", where=file)
        if name.startswith("AWS_") or name == "LAMBDA_TASK_ROOT":
            raise UsageError(f"Lambda reserves {name!r} for itself", where=file)
    size = sum(len(name.encode()) + len(value.encode()) for name, value in document.items())
    if size > MAX_BYTES:
        raise UsageError(f"{size} bytes of variables; Lambda takes {MAX_BYTES}", where=file)
    return dict(document)
