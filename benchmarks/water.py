"""What simulated water costs: a year of one river, and a thousand buoys that read it, beside a sine."""

import math
import time
from collections.abc import Callable

from buoyfleet.simulation.water.environment import Environment
from buoyfleet.simulation.water.place import Place

HOUR = 3600.0
BUOYS = 1000
ROUNDS = 5


def cpu_s(work: Callable[[], None]) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    year = cpu_s(lambda: void(Environment("calm", 1).at(364 * 24 * HOUR)))
    print(f"a year of calm water from its beginning: {year:.2f} s of CPU")
    environment = Environment("storm", 1)
    places = [Place(environment, number) for number in range(BUOYS)]

    def read() -> None:
        for second in range(ROUNDS):
            for place in places:
                place.sample(40 * HOUR + second)

    def sines() -> None:
        for second in range(ROUNDS):
            for number in range(BUOYS):
                math.sin(number + second)

    read()
    sample, sine = cpu_s(read) / (BUOYS * ROUNDS), cpu_s(sines) / (BUOYS * ROUNDS)
    print(f"one sample of a thousand buoys: {1e6 * sample:.1f} µs, {sample / sine:.0f} times a sine")


def void(_value: object) -> None:
    """Forget a value."""


if __name__ == "__main__":
    main()
