"""What a board shall be, known before any board is looked at."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from buoy import settings as board_settings

from buoyfleet.bench.keys import CredentialSource
from buoyfleet.inventory.secrets import Secret
from buoyfleet.model.board_names import BoardName
from buoyfleet.model.errors import UsageError

_NO_PASSWORD = Secret("")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One board."""

    name: BoardName
    buoy: int
    thing: str
    ssid: str
    password: Secret = _NO_PASSWORD
    changes: Callable[[dict[str, Any]], dict[str, Any]] = lambda _own: {}
    """Settings that the board has → settings of the firmware that are laid over them."""
    credentials: CredentialSource | None = None
    """Key and certificates; None: the target wants none."""

    @property
    def key(self) -> str:
        """What it is called on the screen."""
        return f"{self.buoy}"

    def settings(self, own: dict[str, Any] | None) -> dict[str, Any]:
        """All settings of the board as they shall be.

        Args:
            own: those it has; None: it has none.

        Raises:
            UsageError: the firmware would refuse them.
        """
        base = {**board_settings.defaults(), **(own or {})}
        try:
            return dict(board_settings.merge(base, self.changes(base)))
        except board_settings.SettingsError as error:
            raise UsageError(
                f"the firmware would refuse the settings of buoy {self.buoy}: {error}",
                next_step="correct the fleet file",
            ) from None


def differing(own: dict[str, Any] | None, wanted: dict[str, Any]) -> list[str]:
    """Names of settings that are not as wanted."""
    if own is None:
        return sorted(wanted)
    plain = json.loads(json.dumps(wanted))
    return sorted(name for name in plain if own.get(name) != plain[name])
