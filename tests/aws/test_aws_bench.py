"""Boards are commissioned for an account with the certificates that enrolling made."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from account_stand_in import NAME
from run_bench import fleet_text

from buoyfleet.bench.folder import BenchFolder
from buoyfleet.bench.prepare import bench_target, credential_source, endpoint_of
from buoyfleet.bench.records import Book, Record
from buoyfleet.bench.service_guard import service_check
from buoyfleet.cloud.certificates import CertificateAuthority
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.fleet import Fleet

ENDPOINT = "a1b2-ats.iot.us-west-2.amazonaws.com"


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    section = {"kind": "aws", "endpoint": ENDPOINT, "certificates": "certs", "ca": "certs/ca.pem"}
    path = tmp_path / "fleet.yaml"
    path.write_text(fleet_text(ids="131-132", target="aws", target_section=section))
    return load_fleet(path)


def test_a_board_gets_endpoint_port_and_the_files_of_its_thing(fleet: Fleet, tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "certs", "test")
    issued = authority.issue_client(f"{NAME}-131")
    made = bench_target(fleet, BenchFolder(tmp_path / "bench"), Book([]), [131], ExitStack())
    endpoint = endpoint_of(made.target)
    assert (endpoint.host, endpoint.port) == (ENDPOINT, 8883)
    source = credential_source(made)
    assert source is not None
    credentials = source.get(f"{NAME}-131", "240ac4000080", lambda _: "")
    assert credentials is not None
    assert credentials.fingerprint == issued.certificate_id


def commissioned(buoy: int, broker: str) -> Record:
    return Record("commissioned", f"240ac40000{buoy:02x}", buoy, f"b-{buoy}", broker=broker)


@pytest.mark.parametrize(
    ("records", "passed"),
    [
        ([], True),
        ([commissioned(131, f"{ENDPOINT}:8883")], False),
        ([commissioned(131, "127.0.0.1:1883")], True),
        ([commissioned(7, f"{ENDPOINT}:8883")], True),
        ([commissioned(131, f"{ENDPOINT}:8883"), Record("wiped", "240ac4000083", None, "")], True),
    ],
    ids=["no records", "in the field", "for a twin", "another id", "wiped"],
)
def test_ids_that_the_bench_put_into_the_field_are_known(
    fleet: Fleet, tmp_path: Path, records: list[Record], passed: bool
) -> None:
    folder = BenchFolder(tmp_path / "bench")
    for record in records:
        folder.records.append(record)
    check = service_check(fleet, tmp_path / "bench")
    assert check.passed == passed
    if not passed:
        assert "boards 131 are in service" in check.detail
