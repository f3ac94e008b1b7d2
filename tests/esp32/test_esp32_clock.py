"""A simulated board's clock: 2000 after power-on, kept over resets and sleep, and what TLS goes by."""

import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime

import pytest
from esp32_bench import mpremote, wait_for

from buoyfleet.model.errors import PreflightError
from buoyfleet.programs import clock
from buoyfleet.simulation.esp32.simulator import Simulator

BOARD = 145
LOOK = """
import machine, time, os
open('f', 'w').close()
print(machine.RTC().datetime()[:3], time.gmtime()[:3], time.gmtime(os.stat('f')[8])[:3])
"""
SET = "import machine; machine.RTC().datetime((2031, 2, 30, 0, 25, 0, 0, 0))"
CONNECT = """
import socket, tls
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_REQUIRED
context.load_verify_locations(bytes.fromhex("%s"))
line = socket.socket()
line.connect(socket.getaddrinfo("127.0.0.1", %d)[0][-1])
try:
    print(context.wrap_socket(line, server_hostname="localhost").read(2))
except ValueError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("boards"), [BOARD]) as running:
        yield running


def boots(simulator):
    return simulator.with_board(BOARD, lambda board: board.boots)


def cold_start(simulator):
    simulator.power(BOARD, False)
    simulator.power(BOARD, True)


def look(simulator):
    """Date by RTC, by `time` and by a new file."""
    return mpremote(simulator.path(BOARD), "resume", "exec", LOOK).strip()


def test_after_power_on_it_is_2000_for_rtc_time_and_files_and_a_date_set_holds_for_all(simulator):
    cold_start(simulator)
    assert look(simulator) == "(2000, 1, 1) (2000, 1, 1) (2000, 1, 1)"
    # One day and one hour too many carry over, as in the port's sum of seconds.
    mpremote(simulator.path(BOARD), "resume", "exec", SET)
    assert look(simulator) == "(2031, 3, 3) (2031, 3, 3) (2031, 3, 3)"


@pytest.mark.parametrize("wrong", ["(2031, 1, 1)", "(2031, 13, 1, 0, 0, 0, 0, 0)", "5"])
def test_a_date_that_is_none_is_refused(simulator, wrong):
    text = mpremote(
        simulator.path(BOARD), "exec", f"import machine; machine.RTC().datetime({wrong})", ok=False
    )
    assert "Error" in text


def test_the_clock_goes_on_over_reset_and_deep_sleep_but_not_over_a_power_cut(simulator):
    path = simulator.path(BOARD)
    mpremote(path, "resume", "exec", SET)
    for leave in ("import machine; machine.deepsleep(100)", "import machine; machine.reset()"):
        before = boots(simulator)
        mpremote(path, "resume", "exec", "--no-follow", leave)
        wait_for(lambda before=before: boots(simulator) > before)
    assert "(2031, 3, 3)" in look(simulator)
    cold_start(simulator)
    assert "(2000, 1, 1)" in look(simulator)


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory):
    """(port, certificate in DER) of a server whose certificate is of today."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem"
    command += " -out ca.pem -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True, timeout=100)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    line = listener.accept()[0]
                except OSError:
                    return
                try:
                    with context.wrap_socket(line, server_side=True) as client:
                        client.send(b"hi")
                except ssl.SSLError:
                    line.close()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], ssl.PEM_cert_to_DER_cert((folder / "ca.pem").read_text())
        listener.shutdown(socket.SHUT_RDWR)


def test_tls_refuses_a_certificate_of_today_until_the_clock_is_set(simulator, tls_server):
    port, certificate = tls_server
    path = simulator.path(BOARD)
    cold_start(simulator)
    code = CONNECT % (certificate.hex(), port)
    assert "validity starts in the future" in mpremote(path, "exec", code)
    now = datetime.fromtimestamp(time.time(), UTC)
    fields = (now.year, now.month, now.day, 0, now.hour, now.minute, now.second, 0)
    mpremote(path, "exec", f"import machine; machine.RTC().datetime({fields})")
    assert "b'hi'" in mpremote(path, "resume", "exec", code)


def test_an_interpreter_with_this_computers_clock_is_no_board(tmp_path):
    kind = tmp_path / "micropython"
    kind.write_text("#!/bin/sh\ndate '+year %Y'\n")
    kind.chmod(0o755)
    with pytest.raises(PreflightError) as caught:
        clock.check_clock(kind)
    assert "year 20" in caught.value.what
    assert "make setup" in (caught.value.next_step or "")
