"""The `influxdb` key: a database that exists, as a store behind the rules of a twin or of an account."""

# ruff: noqa: RUF009 (`entry` makes a dataclass field, which is what the rule wants)

from dataclasses import dataclass
from typing import Any

from buoyfleet.inventory.fields import Secret, Text
from buoyfleet.inventory.sections import Section, entry
from buoyfleet.model.secret import SecretRef
from buoyfleet.model.twin import InfluxSpec


@dataclass
class InfluxSection(Section):
    """An InfluxDB that runs already, as one more store behind the rules."""

    OF = " of `influxdb`"

    url: str = entry(
        Text("an address such as `http://localhost:8086`", r"^https?://[^\s/@]+/?$"),
        "Where it answers.",
        required=True,
    )
    database: str = entry(
        Text("a name", r"^[^\s\"/]{1,120}$"),
        "Version 1: the database; 2 and 3: the bucket.",
        required=True,
        also=("bucket", "db"),
    )
    organisation: str = entry(
        Text("a name", r"\S"), "Version 2: the organisation.", default="", also=("org", "organization")
    )
    measurement: str = entry(
        Text("a name", r"^[A-Za-z0-9_.-]{1,120}$"),
        "Name of the measurement.",
        default="buoy_data",
        shown="`buoy_data`",
    )
    username: str = entry(
        Text("a name", r"\S"), "Version 1: user name, if it wants one.", default="", also=("user",)
    )
    password: SecretRef | None = entry(Secret(), "Reference to the password.")
    token: SecretRef | None = entry(Secret(), "Version 2 and 3: reference to the token.")


def influx_spec(section: InfluxSection | None) -> InfluxSpec | None:
    """The database of a section; None where there is none, or it lacks what it needs."""
    if section is None or not section.url or not section.database:
        return None
    return InfluxSpec(
        section.url.rstrip("/"),
        section.database,
        section.organisation,
        section.measurement,
        section.username,
        section.password,
        section.token,
    )


def influx_document(influxdb: InfluxSpec) -> dict[str, Any]:
    """A database in the form of a fleet file."""
    document: dict[str, Any] = {
        "url": influxdb.url,
        "database": influxdb.database,
        "measurement": influxdb.measurement,
    }
    for name in ("organisation", "username"):
        if getattr(influxdb, name):
            document[name] = getattr(influxdb, name)
    for name in ("password", "token"):
        secret = getattr(influxdb, name)
        if secret is not None:
            document[name] = secret_text(secret)
    return document


def secret_text(secret: SecretRef) -> str:
    """The reference as it is written."""
    return f"${{{secret.source}:{secret.name}}}"
