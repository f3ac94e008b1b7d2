"""What several threads, or several `buoy` at once, make in one place is made by one of them."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509

from buoyfleet.bench.images import INDEX_FILE, remember
from buoyfleet.cloud.certificates import CertificateAuthority
from buoyfleet.model.errors import PreflightError
from buoyfleet.model.file_lock import file_lock
from buoyfleet.serial.esp_image import FlashImage

THREADS = 8


def at_once(work):
    """Results of eight threads that begin together."""
    together = threading.Barrier(THREADS)

    def begin(number: int):
        together.wait(90)
        return work(number)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(begin, range(THREADS)))


def test_authorities_that_begin_together_are_one(tmp_path):
    made = at_once(lambda _: CertificateAuthority(tmp_path / "certs", "test CA", keep=True))
    kept = x509.load_pem_x509_certificate((tmp_path / "certs" / "ca.pem").read_bytes())
    for number, authority in enumerate(made):
        issued = authority.issue_client(f"buoy-{number}")
        x509.load_pem_x509_certificate(issued.certificate.read_bytes()).verify_directly_issued_by(kept)


def test_images_that_are_kept_together_are_all_in_the_list(tmp_path):
    image = FlashImage(tmp_path / "image.bin", "ab", b"image", "", "", ())
    at_once(lambda number: remember(image, f"1.{number}.0", tmp_path))
    index = json.loads((tmp_path / INDEX_FILE).read_text())
    assert sorted(index) == [f"1.{number}.0" for number in range(THREADS)]


def test_a_lock_that_another_program_keeps_is_named_with_the_way_out(tmp_path):
    path = tmp_path / "lock"
    program = (
        "import fcntl, sys\n"
        f"file = open({str(path)!r}, 'w')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        waited: list[bool] = []
        try:
            with (
                pytest.raises(PreflightError, match="another program has been baking") as error,
                file_lock(path, 0.1, "baking", lambda: waited.append(True)),
            ):
                pass
            assert waited == [True]
            assert "fuser" in error.value.next_step
        finally:
            holder.communicate()
    with file_lock(path, 10.0, "baking"):
        pass  # given back by the program's end
