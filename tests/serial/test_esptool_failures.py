"""What esptool says when it fails is told with a cause and what to do; its words are those of esptool 5."""

import sys

import pytest

from buoyfleet.model.errors import BoardError
from buoyfleet.serial import reset
from buoyfleet.serial.esptool import Esptool

CONNECTED = "Connected to ESP32 on /dev/ttyUSB0:\nMAC:                24:0a:c4:00:01:92\n"
FATAL = "A fatal error occurred: "
SPOILT = "the line loses bytes at this speed, or the supply is weak"


@pytest.fixture
def failing(tmp_path, monkeypatch):
    """Stands in for the program: prints a text and fails."""

    def with_text(text):
        program = tmp_path / "esptool"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit 2\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        with pytest.raises(BoardError) as raised:
            Esptool("/dev/ttyUSB0").identify()
        return raised.value

    return with_text


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            "Could not open /dev/ttyUSB0, the port is busy or doesn't exist.",
            "the port is gone or in use",
        ),
        (
            f"{FATAL}This chip is ESP32-S3, not ESP32. Wrong chip argument?",
            "a board of another kind is on this port",
        ),
        (
            f"{FATAL}Failed to connect to ESP32: No serial data received.",
            "no ESP32, a cable without data lines, or a board without the automatic reset circuit",
        ),
        (
            f"{CONNECTED}{FATAL}No more data to read from the serial port. This can have many causes, "
            "for troubleshooting steps visit: https://docs.espressif.com/",
            SPOILT,
        ),
        (f"{CONNECTED}{FATAL}The chip stopped responding.", SPOILT),
        (f"{CONNECTED}{FATAL}Response doesn't match request.", SPOILT),
        (f"{CONNECTED}{FATAL}Invalid SLIP escape (0xdb, 0x17).", SPOILT),
        (f"{CONNECTED}{FATAL}Serial data stream stopped: Possible serial noise or corruption.", SPOILT),
        (f"{CONNECTED}{FATAL}MD5 of file does not match data in flash!", SPOILT),
    ],
)
def test_a_failure_has_its_likely_cause_and_the_next_step(failing, text, cause):
    error = failing(text)
    assert error.cause == cause
    assert error.next_step
    assert error.where == "/dev/ttyUSB0"
    assert error.what.startswith("esptool: ")


@pytest.mark.parametrize("text", ["", f"{FATAL}Something that no version said before."])
def test_a_failure_that_is_not_known_still_says_what_to_do(failing, text):
    error = failing(text)
    assert error.next_step
    assert "without a word" in error.what or "no version said before" in error.what


@pytest.fixture
def drowned(monkeypatch):
    """A port without modem lines, and an esptool that a flooding program drowns the first times."""
    attempts = []

    def with_failures(count):
        def identify(_tool, **_options):
            attempts.append(1)
            if len(attempts) <= count:
                raise BoardError("esptool: Invalid head of packet (0x32)", cause=SPOILT)

        monkeypatch.setattr(Esptool, "identify", identify)
        monkeypatch.setattr(reset, "_pulse", lambda _port: False)
        return attempts

    return with_failures


def test_a_reset_that_a_flooding_program_drowned_is_tried_once_more(drowned):
    attempts = drowned(1)
    assert reset.press_reset("/dev/ttyUSB0") == "esptool"
    assert len(attempts) == 2


def test_a_board_that_cannot_be_reset_is_told_with_the_cause(drowned):
    drowned(2)
    with pytest.raises(BoardError) as raised:
        reset.press_reset("/dev/ttyUSB0")
    assert raised.value.what.startswith("could not be reset: esptool: Invalid head")
    assert raised.value.cause == SPOILT
    assert "press EN" in raised.value.next_step
