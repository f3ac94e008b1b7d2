"""Lines of Atlas EZO circuits on a UART: told by class, never by position, for old and new firmware.

Source: the maker's EZO-pH and EZO-EC data sheets, and study notes of drivers. Lines end in CR. Unsolicited
codes (`*UV`, `*RS` …) and readings of the continuous mode may stand between a command and its answer:

    code     *OK *ER *OV *UV *RS *RE *SL *WA *DONE
    answer   ?Name,field,…   (old firmware ?NAME or ?,Name)
    reading  number[,number…]
    junk     anything else: wrong baud rate, noise
"""

from sensors import once, seldom

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, Protocol

    Exchange = Generator[float, None, int]

    class Circuit(Protocol):
        """What is made ready and commanded: `sensors.ezo.Ezo`."""

        settings: "dict[str, Any]"
        now_ms: float
        circuit_type: str
        circuit_flags: int
        circuit_note: str
        circuit: "tuple[str, str]"
        calibrated: "int | None"
        vcc_v: "float | None"
        sent_c: "float | None"
        takes_rt: bool
        says_ok: bool
        asleep: bool
        heard: str
        reply: str

        def open_line(self) -> "EzoLine": ...

        def exchange(
            self, command: str, wanted: int, prefix: str = "", process_ms: float = 300
        ) -> "Exchange": ...

        def order(self, command: str) -> "Exchange": ...

        def ask_anew(self) -> None: ...

    class PhCircuit(Circuit, Protocol):
        """`sensors.ph.Ph`."""

        slope: "tuple[float, float, float | None] | None"


# How an exchange ended.
DONE, REFUSED, SILENT, RESTARTED = 1, 2, 3, 4

COMMAND_MS = 300  # processing time of every command but readings and calibration
STEP_MS = 20  # between two looks at the UART

CODE, ANSWER, READING, JUNK = 1, 2, 3, 4

WOKEN_READINGS = 4  # to discard after `*WA`
MAX_LINE = 48  # longest line of a circuit

TROUBLE = ("*UV", "*OV", "*RS", "*RE")


@seldom
def trouble_text(code: str) -> str:
    """What a code of TROUBLE means; "" for none."""
    if not code:
        return ""
    if code[1] == "R":
        return "circuit restarted (%s)" % code
    return "supply %s (%s)" % ("under 3.1 V" if code == "*UV" else "over 5.5 V", code)


def parse_number(text: str) -> "float | None":
    """A decimal number as the circuits print it: sign, digits, at most one point; None for anything else."""
    body = text[1:] if text[:1] == "-" else text
    whole, _, fraction = body.partition(".")
    if not whole:
        return None
    for digit in whole + fraction:
        if digit not in "0123456789":  # `isdigit` takes ² and other scripts for digits
            return None
    return float(text)


def classify(line: bytes) -> "tuple[int, str]":
    """Class and text of a line without its CR; answers come in lower case, without `?` and leading comma."""
    for byte in line:
        if not 32 <= byte < 127:
            return JUNK, ""
    text = line.decode().strip()
    if not text or len(text) > MAX_LINE:
        return JUNK, ""
    if text[0] == "*":
        return CODE, text.upper()
    if text[0] == "?":
        return ANSWER, text[1:].lower().lstrip(",")
    for field in text.split(","):
        if parse_number(field) is None:
            return JUNK, text
    return READING, text


class EzoLine:
    """What has come from a circuit since it was last cleared, sorted."""

    __slots__ = (
        "_buffer",
        "_length",
        "_uart",
        "accepted",
        "answer",
        "junk",
        "line",
        "reading",
        "refused",
        "skip",
        "trouble",
        "unasked",
    )

    @once
    def __init__(self, uart: "Any") -> None:
        self._uart = uart
        self._buffer = bytearray(MAX_LINE)
        self._length = 0  # over MAX_LINE: a line that is too long to be one
        self.accepted = False  # `*OK`
        self.refused = False  # `*ER`
        self.answer = ""
        self.reading = ""
        self.line = ""  # last line of any class
        self.junk = 0
        self.unasked = False  # a reading has come
        self.trouble = ""  # last code of TROUBLE
        self.skip = 0  # readings to discard

    def close(self) -> None:
        """Give the UART's pins back."""
        self._uart.deinit()

    def send(self, command: str) -> None:
        """Send a command; clears what belongs to the one before."""
        self.pump()
        self.accepted = self.refused = False
        self.reading = self.answer = self.line = ""
        self._uart.write(command.encode() + b"\r")

    def pump(self) -> None:
        """Sort what the UART has received."""
        waiting = self._uart.any()
        data = self._uart.read(waiting) if waiting else None
        if not data:
            return
        for byte in data:
            if byte == 13:
                if self._length:
                    self._take()
                self._length = 0
            elif byte != 10:
                if self._length < MAX_LINE:
                    self._buffer[self._length] = byte
                    self._length += 1
                else:
                    self._length = MAX_LINE + 1

    def unfinished(self) -> bool:
        """Whether bytes have come that no line end followed: at a wrong rate there may never be one."""
        return self._length > 0

    def forget_part(self) -> None:
        """Drop the beginning of a line: its end was lost with the power."""
        self._length = 0

    def fields(self) -> "list[str]":
        """Fields of the last answer after its name."""
        return self.answer.split(",")[1:]

    def _take(self) -> None:
        if self._length > MAX_LINE:
            self.junk += 1
            return
        kind, text = classify(bytes(self._buffer[: self._length]))
        if text != "*OK":
            self.line = text
        if kind == READING:
            self.reading = text
            self.unasked = True
        elif kind == ANSWER:
            self.answer = text
        elif kind == JUNK:
            self.junk += 1
        elif text == "*OK":
            self.accepted = True
        elif text == "*ER":
            self.refused = True
        elif text == "*WA":
            self.skip = WOKEN_READINGS
        elif text in TROUBLE:
            self.trouble = text
