"""Price tables, each with the day it was collected."""

import json
from dataclasses import dataclass
from pathlib import Path

REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Price:
    """A price of one thing that AWS meters."""

    usd: float
    per: float
    """So many units cost `usd`."""
    what: str
    source: str


@dataclass(frozen=True, slots=True)
class PriceTable:
    """List prices of one region."""

    collected: str
    """ISO date."""
    region: str
    elsewhere: float
    """How much dearer other regions can be."""
    prices: dict[str, Price]

    def usd(self, name: str, units: float) -> float:
        """What so many units cost."""
        price = self.prices[name]
        return units * price.usd / price.per

    def margin(self, region: str) -> float:
        """What to multiply by, to be on the safe side in a region."""
        return 1.0 if region == self.region else self.elsewhere


def load_prices() -> PriceTable:
    """The table of the tree."""
    document = json.loads((Path(__file__).parent / f"{REGION}.json").read_text(encoding="utf-8"))
    prices = {name: Price(**one) for name, one in document["prices"].items()}
    return PriceTable(document["collected"], document["region"], document["elsewhere"], prices)
