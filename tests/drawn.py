"""How many examples a property test draws."""

from hypothesis import settings


def at_most(count: int) -> int:
    """So many in `make test`; in `make soak` all that its profile asks for."""
    default = settings()
    return min(count, default.max_examples) if default.derandomize else default.max_examples
