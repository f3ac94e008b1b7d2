"""The reference page of a fleet file, from the declarations that the loader reads by."""

from collections.abc import Mapping
from typing import Any

from buoyfleet.inventory.available import KINDS, SENSOR_MODES, TARGETS
from buoyfleet.inventory.format import PLACES
from buoyfleet.inventory.sections import Section, keys_of
from buoyfleet.model.thresholds import METRICS, OPERATORS, STORE_METRICS, UNITS

_HEAD = """\
# boards.yaml

Every key of a fleet file. This page is made by `buoy schema --markdown`; `buoy schema` gives the same as a
JSON schema, which editors use to complete and check (`buoy schema > boards.schema.json`). `buoy check`
reports every mistake of a file at once.

Times, rates and sizes are numbers with a unit: `100 ms`, `5 s`, `2 min`, `1 h`, `1 d`; `10/s`, `4/min`,
`6/h`; `512 kB`, `1 MB`. Ids are written `100`, `100-127`, `100-109,115`, or as a list of these. Words mean
what they mean in YAML 1.2: `off` and `no` are texts. Anchors, aliases and `<<` work; a key that stands twice
is a mistake.

What is said nearer to a board wins: an entry of `overrides` over its group, a group over `run`, and the
command line (`--count`, `--interval`, `--rate`, `--flat-out`) over all. `interval` and `rate` exclude each
other in one place; every board needs one of them, and `messages` or a `duration`.

Secrets are references: `${env:NAME}` is the environment, `${file:NAME}` a key of `secrets.yaml` beside the
fleet file (flat, mode 0600, ignored by git). A secret in clear is refused.
"""

_TITLES = {"": "Top level"}


def reference_page() -> str:
    """The page, in Markdown."""
    parts = [_HEAD]
    for place, section in PLACES.items():
        parts.append(f"## {_TITLES.get(place, f'`{place}`')}\n\n{_first_line(section)}\n\n{_table(section)}")
    parts.append(_list("Kinds of boards", KINDS))
    parts.append(_list("Targets", {kind: target.about for kind, target in TARGETS.items()}))
    parts.append(_list("What a sensor can be", SENSOR_MODES))
    parts.append(_thresholds())
    return "\n".join(parts)


def _first_line(section: type[Section]) -> str:
    return (section.__doc__ or "").strip().splitlines()[0] if not _made(section) else "One key per sensor."


def _made(section: type[Section]) -> bool:
    return (section.__doc__ or "").startswith(f"{section.__name__}(")


def _table(section: type[Section]) -> str:
    rows = ["| key | what it can be | meaning | default |", "|---|---|---|---|"]
    for one in keys_of(section):
        meta = one.metadata
        default = "required" if meta["required"] else meta["shown"]
        rows.append(
            f"| `{one.name}` | {_cell(meta['kind'].expected)} | {_cell(meta['about'])} | {_cell(default)} |"
        )
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _list(title: str, entries: Mapping[Any, str]) -> str:
    return "\n".join([f"## {title}\n", *(f"- `{name}`: {about}" for name, about in entries.items())]) + "\n"


def _thresholds() -> str:
    names: dict[str, list[str]] = {}
    for metric, unit in {**METRICS, **STORE_METRICS}.items():
        subject, name = metric.split(".")
        names.setdefault(f"{subject} ({unit})", []).append(f"`{name}`")
    units = ", ".join(f"`{unit}`" for unit in UNITS)
    operators = " ".join(f"`{operator}`" for operator in OPERATORS)
    lines = [
        "## Thresholds\n",
        "`metric operator number unit`, e.g. `timestream.missing == 0` or `ack.p99 < 500 ms`.\n",
        f"Operators: {operators}. Units: {units}; times need one.\n",
        *(f"- {subject}: {', '.join(all_of)}" for subject, all_of in names.items()),
    ]
    return "\n".join(lines) + "\n"
