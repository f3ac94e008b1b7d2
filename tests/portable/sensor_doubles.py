"""Scripted stand-ins for a board's modules, for tests of single drivers: they play back and model nothing."""

from sensors.build import make_driver


class Clock:
    """Simulated milliseconds."""

    def __init__(self):
        self.now_ms = 0

    def ticks_us(self):
        return self.now_ms * 1000

    def ticks_diff(self, later, earlier):
        return later - earlier


class Pin:
    """A GPIO; `level` is what it reads, or a function of time."""

    IN, OUT, PULL_DOWN, IRQ_RISING = 0, 1, 2, 4

    def __init__(self, board, number, mode=None, pull=None):
        self.board = board
        self.number = number
        self.mode = mode
        self.pull = pull
        board.pins[number] = self

    def value(self, level=None):
        if level is not None:
            self.board.levels[self.number] = level
            self.board.switched.append((self.board.clock.now_ms, self.number, level))
            return None
        level = self.board.levels.get(self.number, 0)
        return level(self.board.clock.now_ms) if callable(level) else level

    def irq(self, handler, trigger):
        self.board.handlers[self.number] = (handler, trigger)


class Converter:
    """machine.ADC; `signals` of the board is pin → mV, or a function of the time and the attenuation."""

    ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = 0, 1, 2, 3

    def __init__(self, board, pin, atten):
        self.board = board
        self.pin = pin.number
        self.attenuation = atten

    def atten(self, attenuation):
        self.attenuation = attenuation

    def read_uv(self):
        self.board.conversions += 1
        signal = self.board.signals[self.pin]
        if callable(signal):
            signal = signal(self.board.clock.now_ms, self.attenuation)
        return int(signal * 1000)


class Uart:
    """machine.UART to a scripted circuit.

    `script` maps a command to a list of (delay in ms, line), or to a list of such lists, one per time
    (the last one stays); a command without script gets silence.
    """

    def __init__(self, board, number, baudrate, tx, rx):
        self.pins = (tx, rx)
        self.board = board
        self.number = number
        self.baudrate = baudrate
        self.commands = []
        self.closed = False
        self._script = board.scripts[number]
        self._times = {}
        self._arriving = []
        board.uarts[number] = self

    def write(self, data):
        assert data[-1:] == b"\r"
        command = data[:-1].decode()
        self.commands.append(command)
        answers = self._script.get(command, [])
        if answers and isinstance(answers[0], list):
            turn = self._times.get(command, 0)
            self._times[command] = turn + 1
            answers = answers[min(turn, len(answers) - 1)]
        for delay_ms, line in answers:
            self.arrive(self.board.clock.now_ms + delay_ms, line)

    def arrive(self, at_ms, line):
        self._arriving.append((at_ms, line if isinstance(line, bytes) else line.encode() + b"\r"))
        self._arriving.sort()

    def any(self):
        return sum([len(line) for at_ms, line in self._arriving if at_ms <= self.board.clock.now_ms])

    def read(self, count):
        data = b"".join([line for at_ms, line in self._arriving if at_ms <= self.board.clock.now_ms])
        assert len(data) == count
        self._arriving = [(at_ms, line) for at_ms, line in self._arriving if at_ms > self.board.clock.now_ms]
        return data or None

    def deinit(self):
        self.closed = True


ABSENT = object()


class OneWireError(Exception):
    pass


class DS18X20:
    """The library's class; `pads` of the board is ROM → list of scratchpads, played one by one, last stays.

    A scratchpad `None` is a wrong CRC, `ABSENT` no presence pulse.
    """

    def __init__(self, board):
        self.board = board

    def scan(self):
        if self.board.scan is not None:
            return self.board.scan()
        return [bytearray(rom) for rom in self.board.pads]

    def convert_temp(self):
        self.board.converted.append(self.board.clock.now_ms)
        if self.board.absent:
            raise OneWireError

    def read_scratch(self, rom):
        if bytes(rom) not in self.board.pads:
            raise Exception("CRC error")  # nobody answers: ones
        pads = self.board.pads[bytes(rom)]
        pad = pads.pop(0) if len(pads) > 1 else pads[0]
        if pad is ABSENT:
            raise OneWireError
        if pad is None:
            raise Exception("CRC error")
        return bytearray(pad)


class Namespace:
    pass


class Board:
    """All modules of a board; `modules` is what drivers are given."""

    def __init__(self, counter=True, reset_cause=None):
        self.clock = Clock()
        self.pins = {}
        self.levels = {}
        self.switched = []
        self.handlers = {}
        self.signals = {}
        self.conversions = 0
        self.scripts = {}
        self.uarts = {}
        self.pads = {}
        self.converted = []
        self.absent = False
        self.scan = None  # called in the place of a search
        self.pulses = 0
        machine = Namespace()
        machine.Pin = self._bound(Pin, ("IN", "OUT", "PULL_DOWN", "IRQ_RISING"))
        machine.ADC = self._bound(Converter, ("ATTN_0DB", "ATTN_2_5DB", "ATTN_6DB", "ATTN_11DB"))
        machine.UART = lambda number, baudrate, tx, rx: Uart(self, number, baudrate, tx, rx)
        machine.PWRON_RESET, machine.DEEPSLEEP_RESET = 1, 4
        machine.reset_cause = lambda: reset_cause
        if counter:
            machine.Counter = self._counter
        onewire = Namespace()
        onewire.OneWire = lambda pin: pin
        onewire.OneWireError = OneWireError
        ds18x20 = Namespace()
        ds18x20.DS18X20 = lambda _bus: DS18X20(self)
        self._modules = {"machine": machine, "onewire": onewire, "ds18x20": ds18x20, "time": self.clock}

    def modules(self, name):
        return self._modules[name]

    def _bound(self, kind, constants):
        board = self

        class Bound(kind):
            def __init__(self, *args, **named):
                super().__init__(board, *args, **named)

        for name in constants:
            setattr(Bound, name, getattr(kind, name))
        return Bound

    def _counter(self, _unit, _pin, filter_ns):
        assert 0 < filter_ns <= 12800  # what the ESP32's PCNT can
        counter = Namespace()
        counter.value = lambda: self.pulses(self.clock.now_ms) if callable(self.pulses) else self.pulses
        return counter

    def driver(self, key, rail=None, **settings):
        return make_driver(key, settings, self.modules, rail)

    def read(self, sensor, temperature_c=None, limit_ms=120000):
        """Drive one reading to its end on the simulated clock; gives how long it took in ms."""
        begin_ms = self.clock.now_ms
        sensor.start(begin_ms)
        if getattr(sensor, "needs_temperature", False):
            sensor.temperature_c = temperature_c
        while not sensor.poll(self.clock.now_ms):
            assert sensor.due_ms >= self.clock.now_ms
            self.clock.now_ms = max(sensor.due_ms, self.clock.now_ms)
            assert self.clock.now_ms - begin_ms < limit_ms, "the reading does not end"
        return self.clock.now_ms - begin_ms
