"""Writes an imported pipeline: a fleet file, the rules, code and variables of functions."""

import io
import json
import os
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, Final

import yaml

from buoyfleet.cloud.aws.import_pipeline import (
    ImportedFunction,
    ImportedPipeline,
    parameters_of,
    processors,
)
from buoyfleet.model.errors import UsageError

FLEET_FILE: Final = "boards.yaml"
MAX_CODE_BYTES: Final = 250 << 20
"""Unzipped deployment package (Lambda quotas)."""
_UNCHANGED: Final = "unchanged.py"
_UNCHANGED_TEXT: Final = '''"""The delivery stream has no function: records go on as they are."""


def lambda_handler(event, context):
    """Pass every record on."""
    return {
        "records": [
            {"recordId": one["recordId"], "result": "Ok", "data": one["data"]} for one in event["records"]
        ]
    }
'''


def write_pipeline(found: ImportedPipeline, folder: Path) -> list[Path]:
    """Write everything into an empty or new folder; the files, the fleet file first.

    Notes about code that cannot be unpacked are added to `found.notes`.

    Raises:
        UsageError: the folder holds something, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(
                "the folder is not empty", where=str(folder), next_step="give a new one with --into FOLDER"
            )
        written = _write_rules(found, folder)
        handlers = {
            name: _write_function(one, folder, found, written) for name, one in found.functions.items()
        }
        fleet = folder / FLEET_FILE
        fleet.write_text(_fleet_text(found, handlers, folder, written), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write: {error.strerror or error}", where=str(folder)) from None
    return [fleet, *written]


def _write_rules(found: ImportedPipeline, folder: Path) -> list[Path]:
    rules = folder / "rules"
    rules.mkdir()
    written = []
    for ending, documents in ((".json", found.rules), (".aws.json", found.whole)):
        for name, rule in documents.items():
            written.append(rules / f"{name}{ending}")
            written[-1].write_text(json.dumps({"rule": rule}, indent=2, default=str) + "\n", encoding="utf-8")
    return written


def _write_function(
    function: ImportedFunction, folder: Path, found: ImportedPipeline, written: list[Path]
) -> dict[str, str]:
    """`handler` and `environment` as of a fleet file, as far as they are there."""
    place = folder / "functions" / function.name
    place.mkdir(parents=True)
    keys: dict[str, str] = {}
    handler = str(function.configuration.get("Handler", ""))
    if function.code and _unpack(function, place, found):
        module, _, name = handler.rpartition(".")
        if str(function.configuration.get("Runtime", "")).startswith("python"):
            module = module.replace(".", "/")
        keys["handler"] = f"functions/{function.name}/{module}.{name}"
        written.append(place)
    variables = function.configuration.get("Environment", {}).get("Variables", {})
    if variables:
        file = folder / "functions" / f"{function.name}.variables.json"
        # They may be secrets.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as text:
            json.dump(variables, text, indent=2)
        keys["environment"] = str(file.relative_to(folder))
        written.append(file)
    return keys


def _unpack(function: ImportedFunction, place: Path, found: ImportedPipeline) -> bool:
    """Unpack the deployment package; nothing is written outside of the folder."""
    try:
        with zipfile.ZipFile(io.BytesIO(function.code)) as package:
            members = package.infolist()
            size = sum(one.file_size for one in members)
            if size > MAX_CODE_BYTES:
                found.notes.append(f"the code of function {function.name} is {size:,} bytes: not unpacked")
                return False
            for one in members:
                path = PurePosixPath(one.filename)
                if path.is_absolute() or ".." in path.parts or stat.S_ISLNK(one.external_attr >> 16):
                    found.notes.append(f"function {function.name}: {one.filename!r} in its code was left out")
                    continue
                package.extract(one, place)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        found.notes.append(f"the code of function {function.name} cannot be unpacked: {error}")
        shutil.rmtree(place)
        return False
    return True


def _fleet_text(
    found: ImportedPipeline, handlers: dict[str, dict[str, str]], folder: Path, written: list[Path]
) -> str:
    twin: dict[str, Any] = {
        "rules": [
            {
                "name": name,
                "file": f"rules/{name}.json",
                **({"stores": True} if name in found.feeding else {}),
            }
            for name in found.rules
        ]
    }
    if found.shards:
        twin["kinesis_shards"] = found.shards
    twin.update(_delivery_keys(found))
    if found.transform:
        keys = handlers.get(found.transform, {})
        if "handler" in keys:
            twin["lambda_handler"] = keys["handler"]
        else:
            found.notes.append(
                f"the code of the delivery stream's function {found.transform} is not here: "
                "the twin's own runs in its place"
            )
        if "environment" in keys:
            twin["lambda_environment"] = keys["environment"]
        twin.update(_function_keys(found.functions[found.transform]))
    elif found.delivery:
        place = folder / "functions"
        place.mkdir(exist_ok=True)
        written.append(place / _UNCHANGED)
        written[-1].write_text(_UNCHANGED_TEXT, encoding="utf-8")
        twin["lambda_handler"] = f"functions/{_UNCHANGED}"
    called = [
        {"name": name, **keys}
        for name, keys in handlers.items()
        if name != found.transform and "handler" in keys
    ]
    if called:
        twin["functions"] = called
    document: dict[str, Any] = {"fleet": "imported", "target": {"kind": "local", "twin": twin}}
    if found.topic_prefix:
        document["topic_prefix"] = found.topic_prefix
    document |= {
        "run": {"messages": 10, "rate": "1/s"},
        "boards": [{"kind": "virtual", "ids": "100-102"}],
    }
    head = [f"The pipeline of account {found.account}, {found.region}, as the twin rehearses it."]
    if found.notes:
        head += ["", "Not as in the account:", *(f"- {note}" for note in found.notes)]
    comment = "".join(f"# {line}".rstrip() + "\n" for line in head)
    return comment + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _delivery_keys(found: ImportedPipeline) -> dict[str, Any]:
    destination = (found.delivery.get("Destinations") or [{}])[0].get("ExtendedS3DestinationDescription", {})
    keys: dict[str, Any] = {}
    hints = destination.get("BufferingHints", {})
    if "SizeInMBs" in hints:
        keys["firehose_s3_buffer_size"] = f"{hints['SizeInMBs']} MB"
    if "IntervalInSeconds" in hints:
        keys["firehose_s3_buffer_time"] = f"{hints['IntervalInSeconds']} s"
    if destination.get("Prefix"):
        keys["s3_prefix"] = destination["Prefix"]
    if destination.get("ErrorOutputPrefix"):
        keys["s3_error_prefix"] = destination["ErrorOutputPrefix"]
    if destination.get("CompressionFormat") == "GZIP":
        keys["s3_gzip"] = True
    for processor in processors(found.delivery):
        named = parameters_of(processor)
        if processor.get("Type") == "AppendDelimiterToRecord":
            keys["s3_delimiter"] = "newline"
        if processor.get("Type") == "Lambda":
            if "BufferSizeInMBs" in named:
                keys["firehose_lambda_buffer_size"] = f"{named['BufferSizeInMBs']} MB"
            if "BufferIntervalInSeconds" in named:
                keys["firehose_lambda_buffer_time"] = f"{named['BufferIntervalInSeconds']} s"
    return keys


def _function_keys(function: ImportedFunction) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if "Timeout" in function.configuration:
        keys["lambda_timeout"] = f"{function.configuration['Timeout']} s"
    if "MemorySize" in function.configuration:
        keys["lambda_memory"] = f"{function.configuration['MemorySize']} MB"
    if function.concurrency is not None:
        keys["lambda_concurrency"] = function.concurrency
    return keys
