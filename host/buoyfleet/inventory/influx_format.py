"""The `influxdb` key: a database that exists, as a store behind the rules of a twin or of an account."""

# ruff: noqa: RUF009 (`setting` makes a dataclass field, which is what the rule wants)

from dataclasses import dataclass, replace
from pathlib import Path

from buoyfleet.inventory.fields import Secret, Text
from buoyfleet.inventory.sections import Section
from buoyfleet.inventory.settings import model_values, setting
from buoyfleet.model.secret import SecretRef
from buoyfleet.model.twin import InfluxSpec


@dataclass
class InfluxSection(Section):
    """An InfluxDB that runs already, as one more store behind the rules."""

    OF = " of `influxdb`"

    url: str = setting(
        InfluxSpec,
        "url",
        Text("an address such as `http://localhost:8086`", r"^https?://[^\s/@]+/?$"),
        "Where it answers.",
    )
    database: str = setting(
        InfluxSpec,
        "database",
        Text("a name", r"^[^\s\"/]{1,120}$"),
        "Version 1: the database; 2 and 3: the bucket.",
        also=("bucket", "db"),
    )
    organisation: str = setting(
        InfluxSpec,
        "organisation",
        Text("a name", r"\S"),
        "Version 2: the organisation.",
        also=("org", "organization"),
    )
    measurement: str = setting(
        InfluxSpec, "measurement", Text("a name", r"^[A-Za-z0-9_.-]{1,120}$"), "Name of the measurement."
    )
    username: str = setting(
        InfluxSpec,
        "username",
        Text("a name", r"\S"),
        "Version 1: user name, if it wants one.",
        also=("user",),
    )
    password: SecretRef | None = setting(InfluxSpec, "password", Secret(), "Reference to the password.")
    token: SecretRef | None = setting(
        InfluxSpec, "token", Secret(), "Version 2 and 3: reference to the token."
    )


def influx_spec(section: InfluxSection | None) -> InfluxSpec | None:
    """The database of a section; None where there is none, or a key that it needs is missing."""
    if section is None or not section.url or not section.database:
        return None
    spec = InfluxSpec(**model_values(section, Path()))
    return replace(spec, url=spec.url.rstrip("/"))
