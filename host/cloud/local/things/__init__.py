"""The account's services behind topics that begin with `$aws/`: shadows, jobs, streams, lifecycle events."""

from host.cloud.local.things.services import Services

__all__ = ["Services"]
