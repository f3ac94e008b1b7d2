"""The secret that fleet files of these tests refer to."""

import os

import pytest
from bench_rig import WIFI_PASSWORD


@pytest.fixture(scope="session", autouse=True)
def wifi_password():
    before = os.environ.get("WIFI_PASSWORD")
    os.environ["WIFI_PASSWORD"] = WIFI_PASSWORD
    yield
    if before is None:
        del os.environ["WIFI_PASSWORD"]
    else:
        os.environ["WIFI_PASSWORD"] = before
