"""The `influxdb` key: a database that exists, as a store behind the rules of a twin or of an account."""

# ruff: noqa: RUF009 (`setting` makes a dataclass field, which is what the rule wants)

from dataclasses import dataclass
from pathlib import Path

from buoyfleet.inventory.fields import Secret, Text
from buoyfleet.inventory.sections import Section, setting
from buoyfleet.model.secret import SecretRef
from buoyfleet.model.twin import InfluxSpec


class _Address(Text):
    def resolve(self, value: str, folder: Path) -> str:  # noqa: ARG002
        return value.rstrip("/")


@dataclass
class InfluxSection(Section, model=InfluxSpec):
    """An InfluxDB that runs already, as one more store behind the rules."""

    OF = " of `influxdb`"

    url: str = setting(
        _Address("an address such as `http://localhost:8086`", r"^https?://[^\s/@]+/?$"),
        "Where it answers.",
    )
    database: str = setting(
        Text("a name", r"^[^\s\"/]{1,120}$"),
        "Version 1: the database; 2 and 3: the bucket.",
        also=("bucket", "db"),
    )
    organisation: str = setting(
        Text("a name", r"\S"),
        "Version 2: the organisation.",
        also=("org", "organization"),
    )
    measurement: str = setting(Text("a name", r"^[A-Za-z0-9_.-]{1,120}$"), "Name of the measurement.")
    username: str = setting(
        Text("a name", r"\S"),
        "Version 1: user name, if it wants one.",
        also=("user",),
    )
    password: SecretRef | None = setting(Secret(), "Reference to the password.")
    token: SecretRef | None = setting(Secret(), "Version 2 and 3: reference to the token.")
