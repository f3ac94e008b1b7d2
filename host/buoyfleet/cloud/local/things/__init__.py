"""The account's services behind topics that begin with `$aws/`: shadows, jobs, streams, lifecycle events."""

from buoyfleet.cloud.local.things.services import Services

__all__ = ["Services"]
