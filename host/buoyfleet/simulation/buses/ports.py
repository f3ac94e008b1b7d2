"""Pins of a board: levels, power switches, converter, UARTs and 1-Wire, each led to the part behind it."""

import random
from collections.abc import Mapping

from buoyfleet.simulation.buses.chip import Chip
from buoyfleet.simulation.buses.idf_heap import UART
from buoyfleet.simulation.buses.wiring import RATIOS, RESISTOR_TOLERANCE, Wiring
from buoyfleet.simulation.parts.adc import FULL_CODE, NOISE_CODES, OFFSETS_MV, PIN_LIMIT_MV, Esp32Adc
from buoyfleet.simulation.parts.analog import AnalogPart
from buoyfleet.simulation.parts.digital import FlowMeter, LevelSwitch
from buoyfleet.simulation.parts.ezo_wire import EzoWire
from buoyfleet.simulation.parts.onewire import TemperatureBus
from buoyfleet.simulation.parts.part import Part

BURST = 64
"""Conversions handed out at once; a driver's `read_uv` takes them one by one."""
INPUT_ONLY = frozenset((34, 35, 36, 37, 38, 39))
ABSENT = frozenset((20, 24, 28, 29, 30, 31, *range(6, 12)))
"""No such pin, or one of the flash chip's."""
ADC1 = frozenset(range(32, 40))
ADC2 = frozenset((0, 2, 4, 12, 13, 14, 15, 25, 26, 27))
# Pin modes and pulls as in machine.Pin of the ESP32 port; a UART's pins have a mode of their own here.
MODE_IN, MODE_OUT, MODE_UART = 1, 3, 99
PULL_DOWN, PULL_UP = 1, 2


class Ports:
    """What the pins of one board lead to. `t_s` is the time in seconds since the simulation's start."""

    __slots__ = (
        "_edges", "_modes", "_outputs", "_pulls", "_ratios", "_uarts", "adc", "changes", "chip", "now_us",
        "parts", "wiring",
    )  # fmt: skip

    def __init__(
        self, parts: Mapping[str, Part], wiring: Wiring, adc: Esp32Adc, chip: Chip, seed: str, spread: float
    ) -> None:
        self.parts = dict(parts)
        self.wiring = wiring
        self.adc = adc
        self.chip = chip
        self.now_us = 0
        """The clock, µs since the simulation's start."""
        self.changes = 0
        """Grows when something jumped, so that nobody goes on handing out old samples."""
        draw = random.Random(f"{seed}/dividers")
        self._ratios = {
            key: ratio * (1.0 + spread * RESISTOR_TOLERANCE * draw.uniform(-1.0, 1.0) * (ratio != 1.0))
            for key, ratio in RATIOS.items()
        }
        self._modes: dict[int, int] = {}
        self._pulls: dict[int, int] = {}
        self._outputs: dict[int, int] = {}
        self._uarts: dict[int, tuple[int, int, int]] = {}
        """UART → (tx pin, rx pin, baud)."""
        self._edges: dict[int, int] = {}
        """Watched pin → edges seen at the last look."""

    @property
    def t_s(self) -> float:
        """The clock in seconds."""
        return self.now_us * 1e-6

    def divider(self, key: str) -> float:
        """Volts of a part per volt at its pin, as this board's resistors really are."""
        return self._ratios[key]

    def pin_mv(self, key: str) -> float | None:
        """Mean voltage of an analog part at its pin now; None: the wire is open, or no such part."""
        part = self.parts.get(key)
        volts = part.volts(self.t_s) if isinstance(part, AnalogPart) else None
        return None if volts is None else min(PIN_LIMIT_MV, 1000.0 * volts / self._ratios[key])

    # Pins

    def watch_edges(self, gpio: int, on: bool) -> None:
        """Begin or end to count a pin's edges for interrupts."""
        if on:
            self._edges[gpio] = self.count(gpio)
        else:
            self._edges.pop(gpio, None)

    def new_edges(self, gpio: int) -> int:
        """Rising edges of a watched pin since the last look."""
        count = self.count(gpio)
        new = count - self._edges.get(gpio, count)
        self._edges[gpio] = count
        return new

    def take_edges(self) -> dict[int, int]:
        """Rising edges since the last look, of the pins that are watched."""
        new = {gpio: self.new_edges(gpio) for gpio in self._edges}
        return {gpio: count for gpio, count in new.items() if count}

    def count(self, gpio: int) -> int:
        """Rising edges on a pin since the start."""
        part = self.parts.get("wf") if gpio == self.wiring.wf else None
        return part.pulses(self.t_s) if isinstance(part, FlowMeter) else 0

    def pin_init(self, gpio: int, mode: int = -1, pull: int = -1) -> None:
        """Set up a pin; −1 leaves mode and pull as they are."""
        if gpio in ABSENT or not 0 <= gpio <= 39:
            raise ValueError("invalid pin")
        if mode == MODE_OUT and gpio in INPUT_ONLY:
            raise ValueError("pin can only be input")
        if mode >= 0:
            self._modes[gpio] = mode
            self._supply(gpio)
        if pull >= 0:
            self._pulls[gpio] = pull

    def pin_set(self, gpio: int, level: int) -> None:
        """Drive an output."""
        self._outputs[gpio] = level
        self._supply(gpio)

    def pin_get(self, gpio: int) -> int:
        """Level of a pin now."""
        if self._modes.get(gpio) == MODE_OUT:
            return self._outputs.get(gpio, 0)
        part = None
        if gpio == self.wiring.liqlev:
            part = self.parts.get("liqlev")
        elif gpio == self.wiring.wf:
            part = self.parts.get("wf")
        if isinstance(part, (LevelSwitch, FlowMeter)):
            if isinstance(part, LevelSwitch) and "unplugged" in part.faults:
                return int(self._pulls.get(gpio) == PULL_UP)
            return part.level(self.t_s)
        return int(self._pulls.get(gpio) == PULL_UP)

    def _supply(self, gpio: int) -> None:
        """Power follows its switch, but for circuits that live on what leaks in through their UART."""
        behind = self.wiring.supplies.get(gpio, ())
        if not behind:
            behind = tuple(key for key, pins in self.wiring.uarts.items() if gpio == pins[0])
        for key in behind:
            part = self.parts.get(key)
            if part is not None:
                part.power(self._switched_on(key) or self._leaks(key), self.t_s)
                self.changes += 1

    def _switched_on(self, key: str) -> bool:
        for switch, keys in self.wiring.supplies.items():
            if key in keys and self._modes.get(switch) == MODE_OUT:
                return (self._outputs.get(switch, 0) == 1) != (switch in self.wiring.active_low)
        return True

    def _leaks(self, key: str) -> bool:
        pins = self.wiring.uarts.get(key)
        if pins is None or "leak" not in self.parts[key].faults:
            return False
        return self._modes.get(pins[0]) == MODE_UART

    # Converter

    def adc_check(self, gpio: int) -> None:
        """Refuse a pin that has no converter."""
        if gpio not in ADC1 and gpio not in ADC2:
            raise ValueError("invalid pin")

    def adc_codes(self, gpio: int, attenuation: int) -> tuple[float, float, tuple[float, ...]]:
        """Mean code, standard deviation and deviates of a burst."""
        if gpio in ADC2 and self.chip.radio.active:
            raise OSError(-1, "ADC2 is in use by Wi-Fi")
        key = self.wiring.analog.get(gpio)
        part = None if key is None else self.parts.get(key)
        volts = part.volts(self.t_s) if isinstance(part, AnalogPart) else None
        if volts is None or key is None or part is None:
            # An open input wanders over the whole scale.
            deviates = next(iter(self.parts.values())).deviates(BURST) if self.parts else (0.0,) * BURST
            return 1600.0, 1500.0, deviates
        ratio = self._ratios[key]
        pin_mv = min(PIN_LIMIT_MV, 1000.0 * volts / ratio)
        per_code = self.adc.millivolts_per_code(attenuation)
        noise_mv = part.noise_mv / ratio if isinstance(part, AnalogPart) else 0.0
        sigma = (NOISE_CODES**2 + (noise_mv / per_code) ** 2) ** 0.5
        if pin_mv <= OFFSETS_MV[attenuation]:
            sigma *= 0.3  # little moves in the dead zone
        return self.adc.code(pin_mv, attenuation), sigma, part.deviates(BURST)

    def adc_uv(self, gpio: int, attenuation: int) -> list[int]:
        """A burst of `read_uv` values, which follow each other within a fraction of a second.

        Raises:
            OSError: the chip has no reference voltage in its eFuse.
        """
        if not self.chip.reference_voltage:
            raise OSError(-258, "ESP_ERR_INVALID_ARG")
        mean, sigma, deviates = self.adc_codes(gpio, attenuation)
        slope = self.adc.millivolts_per_code(attenuation)
        # Millivolts per code are under one: rounding to codes first would change next to nothing.
        mv, spread_mv = mean * slope + OFFSETS_MV[attenuation] + 0.5, sigma * slope
        if 4.0 * sigma < mean < FULL_CODE - 4.0 * sigma:
            return [1000 * int(mv + spread_mv * deviate) for deviate in deviates]
        top = FULL_CODE * slope + OFFSETS_MV[attenuation] + 0.5
        bottom = OFFSETS_MV[attenuation] + 0.5
        return [1000 * int(min(top, max(bottom, mv + spread_mv * deviate))) for deviate in deviates]

    def adc_raw(self, gpio: int, attenuation: int) -> int:
        """One code, 0–4095, uncorrected."""
        mean, sigma, deviates = self.adc_codes(gpio, attenuation)
        return min(FULL_CODE, max(0, int(mean + sigma * deviates[0] + 0.5)))

    # UART

    def uart_open(self, number: int, tx: int, rx: int, baud: int, rxbuf: int = 256) -> None:
        """Lead a UART to its pins; what came before is lost.

        Raises:
            OSError: the IDF heap has no room for its buffers.
        """
        self.chip.idf.give_back(f"uart {number}")
        if not self.chip.idf.take(f"uart {number}", (*UART, rxbuf)):
            self.uart_close(number)
            raise OSError(-1, "ESP_FAIL")  # uart_driver_install
        for gpio in (tx, rx):
            self._modes[gpio] = MODE_UART
        self._uarts[number] = (tx, rx, baud)
        self.uart_in(number)

    @property
    def open_uarts(self) -> tuple[int, ...]:
        """Numbers of the UARTs that the program has open."""
        return tuple(self._uarts)

    def close_uarts(self) -> None:
        """A reset."""
        for number in self.open_uarts:
            self.uart_close(number)

    def uart_close(self, number: int) -> None:
        """Let its pins and its memory go."""
        self.chip.idf.give_back(f"uart {number}")
        for gpio in self._uarts.pop(number, (0, 0, 0))[:2]:
            self._modes.pop(gpio, None)
            self._supply(gpio)

    def uart_out(self, number: int, data: bytes) -> None:
        """Send bytes."""
        tx, _, baud = self._uarts[number]
        for key, (board_tx, _) in self.wiring.uarts.items():
            circuit = self.parts.get(key)
            if tx == board_tx and self._modes.get(tx) == MODE_UART and isinstance(circuit, EzoWire):
                circuit.receive(data, self.t_s, baud)

    def uart_in(self, number: int) -> bytes:
        """Bytes that have arrived since the last call."""
        _, rx, baud = self._uarts[number]
        for key, (_, board_rx) in self.wiring.uarts.items():
            circuit = self.parts.get(key)
            if rx == board_rx and isinstance(circuit, EzoWire):
                data = circuit.send(self.t_s, baud)
                return data if self._modes.get(rx) == MODE_UART else b""
        return b""

    # 1-Wire

    def _wire(self, gpio: int) -> TemperatureBus | None:
        bus = self.parts.get("temp") if gpio == self.wiring.temp else None
        return bus if isinstance(bus, TemperatureBus) else None

    def ow_reset(self, gpio: int) -> bool:
        """Reset pulse; whether presence was seen."""
        bus = self._wire(gpio)
        return bus is not None and bus.reset(self.t_s)

    def ow_write(self, gpio: int, data: bytes) -> None:
        """Write bytes."""
        bus = self._wire(gpio)
        if bus is not None:
            bus.write(data, self.t_s)

    def ow_read(self, gpio: int, count: int) -> bytes:
        """Read bytes."""
        bus = self._wire(gpio)
        return b"\xff" * count if bus is None else bus.read(count, self.t_s)

    def ow_write_bit(self, gpio: int, bit: int) -> None:
        """Write a bit."""
        bus = self._wire(gpio)
        if bus is not None:
            bus.write_bit(bit, self.t_s)

    def ow_read_bit(self, gpio: int) -> int:
        """Read a bit."""
        bus = self._wire(gpio)
        return 1 if bus is None else bus.read_bit(self.t_s)

    def ow_scan(self, gpio: int, start: int = 0) -> list[bytes]:
        """ROM codes in the order of MicroPython's search, at most 32 from number `start` on."""
        bus = self._wire(gpio)
        return [] if bus is None else bus.scan(self.t_s)[start : start + 32]
