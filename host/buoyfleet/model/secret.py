"""Secrets by name."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret by name, resolved at use and never serialised: `${env:NAME}` or a key of secrets.yaml."""

    source: Literal["env", "file"]
    name: str
