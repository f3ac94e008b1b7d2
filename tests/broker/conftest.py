"""Fixtures of the broker's tests."""

from collections.abc import Callable, Iterator

import pytest
from broker_bench import Bench
from broker_clients import Client, PahoClient, RawClient
from broker_clients5 import Paho5


@pytest.fixture
def start() -> Iterator[Callable[..., Bench]]:
    """Start a broker: `start(limits, authorise=…, tls=…, alpn=…, sink=…)`. All end with the test."""
    benches: list[Bench] = []

    def started(*args: object, **options: object) -> Bench:
        benches.append(Bench(*args, **options))  # type: ignore[arg-type]
        return benches[-1]

    yield started
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(start: Callable[..., Bench]) -> Bench:
    """A broker with IoT Core's limits, its clock standing still."""
    return start()


@pytest.fixture
def raw() -> Iterator[Callable[..., RawClient]]:
    """Make clients that show every packet: `raw(port, …)`."""
    clients: list[RawClient] = []

    def make(port: int, **options: object) -> RawClient:
        clients.append(RawClient(port, **options))  # type: ignore[arg-type]
        return clients[-1]

    yield make
    for client in clients:
        client.vanish()


@pytest.fixture(params=["paho", "codec"])
def new_client(request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    """Make clients of one kind: `new_client(port, tls=…)`; each test runs with paho and with our codec."""
    clients: list[Client] = []

    def make(port: int, **options: object) -> Client:
        kind = PahoClient if request.param == "paho" else RawClient
        clients.append(kind(port, **options))  # type: ignore[arg-type]
        return clients[-1]

    yield make
    for client in clients:
        client.vanish()


@pytest.fixture
def paho5() -> Iterator[Callable[..., Paho5]]:
    """Make clients of MQTT 5: `paho5(port, client_id)`."""
    made: list[Paho5] = []

    def make(*arguments: object, **options: object) -> Paho5:
        made.append(Paho5(*arguments, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()
