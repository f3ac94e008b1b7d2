"""One timer for all: things with a deadline, in buckets of a second."""

from collections.abc import Hashable
from math import ceil
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class DeadlineWheel(Generic[Item]):
    """Deadlines that are moved and dropped far more often than they pass, at a cost that does not grow.

    A deadline passes up to a second late, never early.
    """

    __slots__ = ("_buckets", "_second_of", "_swept")

    def __init__(self) -> None:
        self._buckets: dict[int, set[Item]] = {}
        self._second_of: dict[Item, int] = {}
        self._swept = 0

    def __len__(self) -> int:
        return len(self._second_of)

    def set(self, item: Item, due_s: float) -> None:
        """Give the item a deadline, in place of the one it had."""
        second = ceil(due_s)
        known = self._second_of.get(item)
        if known == second:
            return
        if known is not None:
            self._drop(item, known)
        self._second_of[item] = second
        self._buckets.setdefault(second, set()).add(item)

    def remove(self, item: Item) -> None:
        """Forget the item, if it is known."""
        second = self._second_of.pop(item, None)
        if second is not None:
            self._drop(item, second)

    def expired(self, now_s: float) -> list[Item]:
        """Take out and return the items whose deadline has passed."""
        second = int(now_s)
        if second == self._swept:
            return []
        self._swept = second
        items: list[Item] = []
        for due in sorted(due for due in self._buckets if due <= second):
            for item in self._buckets.pop(due):
                del self._second_of[item]
                items.append(item)
        return items

    def _drop(self, item: Item, second: int) -> None:
        bucket = self._buckets[second]
        bucket.discard(item)
        if not bucket:
            del self._buckets[second]
