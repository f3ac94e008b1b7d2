"""What a board's last words make likely."""

import pytest

from buoyfleet.serial.trouble import likely_cause, nothing_boots, unanswered


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"invalid header: 0xffffffff", True),
        (b"E (85) boot: no bootable partition", True),
        (b"Checksum failed. Calculated 0x12 read 0x34", True),
        (b"rst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)", False),
        (b"# info boot: 3 s for Ctrl-C", False),
    ],
)
def test_a_complaint_of_the_boot_loader_is_told_from_the_words_of_a_board_that_boots(text, said):
    assert nothing_boots(text) is said
    assert (likely_cause(text)[0] == "nothing that boots is in its flash") is said


@pytest.mark.parametrize("heard", [b"", b"\xfe\x80 noise", b">>> ", b"waiting for download"])
def test_a_request_without_an_answer_names_a_cause_and_a_next_step(heard):
    error = unanswered("health: no answer within 5 s", "/dev/ttyUSB0", heard, heard)
    assert error.cause
    assert error.next_step
    assert error.where == "/dev/ttyUSB0"
