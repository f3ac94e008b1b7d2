# ruff: noqa
# mypy: ignore-errors
"""Runs on MicroPython: everything around the program of a board, played, on a clock of its own.

Nothing here waits: `time.sleep_ms` moves the clock and calls `world.turn`. What parts, broker and time server answer
is the least that the program takes for an answer, so that the heap is the program's.
"""

import gc
import json
import sys

import tls as real_tls  # noqa: F401 - frozen in the image of a board
import umqtt.simple  # noqa: F401 - so is this

MARKER = b"@buoy "
EPOCH_S = 1795660000


class Ended(BaseException):
    """The board restarts, or the scenario is over: nothing that the program catches."""


class World:
    now_ms = 0
    leap_ms = 0  # what a sleep takes at least
    inbox = b""
    out = b""
    to_board = b""
    online = True
    connects = 0
    published = 0
    handshake_ms = 0
    refuse = 0  # connections to break
    wait_until = None


world = World()


def stub(name, **members):
    module = type(name, (), {})()
    for key in members:
        setattr(module, key, members[key])
    sys.modules[name] = module
    return module


# time


def sleep_ms(ms):
    world.now_ms += max(ms, world.leap_ms)
    world.turn()


import time as _time  # noqa: E402

stub(
    "time",
    ticks_ms=lambda: world.now_ms & 0x3FFFFFFF,
    ticks_us=lambda: (world.now_ms * 1000) & 0x3FFFFFFF,
    ticks_add=_time.ticks_add,
    ticks_diff=_time.ticks_diff,
    sleep_ms=sleep_ms,
    sleep=lambda seconds: sleep_ms(int(seconds * 1000)),
    time=lambda: EPOCH_S - 946684800 + world.now_ms // 1000,
    gmtime=_time.gmtime,
    mktime=_time.mktime,
)

# console


class Poller:
    def register(self, *_what):
        pass

    def poll(self, _timeout=0):
        return world.inbox


class Port:
    def read(self, size):
        data = world.inbox[:size]
        world.inbox = world.inbox[size:]
        return data

    def write(self, data):
        world.out += data
        return len(data)


_port = Port()
_real_sys = sys


class System:
    stdin = type("stdin", (), {})()
    stdout = type("stdout", (), {})()

    def __getattr__(self, name):
        return getattr(_real_sys, name)


System.stdin.buffer = System.stdout.buffer = _port
stub("select", poll=Poller, POLLIN=1, POLLOUT=4)

# network


class Socket:
    def __init__(self, _family=0, kind=0):
        self.udp = kind == 2
        self.data = b""

    def settimeout(self, _seconds):
        pass

    def setblocking(self, _flag):
        pass

    def connect(self, _address):
        if not self.udp:
            world.connects += 1
            world.socket = self
            if world.refuse:
                world.refuse -= 1
                raise OSError(111)

    def send(self, request):
        packet = bytearray(48)
        packet[0] = 0x24
        packet[1] = 2
        packet[24:32] = request[40:48]
        seconds = EPOCH_S + world.now_ms // 1000 + 2208988800
        for place in (16, 32, 40):
            packet[place : place + 4] = seconds.to_bytes(4, "big")
        self.data = bytes(packet)

    def recv(self, _size):
        if not self.data:
            raise OSError(11)
        return self.data

    def write(self, data, _size=None):
        packet = bytes(data)
        while packet:
            packet = packet[self.taken(packet) :]
        return len(data)

    def taken(self, packet):
        kind = packet[0] & 0xF0
        length = packet[1] & 0x7F
        place = 2
        if packet[1] & 0x80:
            length |= packet[2] << 7
            place = 3
        if kind == 0x10:
            self.data += b"\x20\x02\x00\x00"
        elif kind == 0x30:
            world.published += 1
            if packet[0] & 0x06:
                after = place + 2 + (packet[place] << 8 | packet[place + 1])
                self.data += b"\x40\x02" + packet[after : after + 2]
        elif kind == 0x80:
            self.data += b"\x90\x03" + packet[place : place + 2] + b"\x01"
        elif kind == 0xC0:
            self.data += b"\xd0\x00"
        return place + length

    def readinto(self, buffer):
        if world.to_board:
            self.data += world.to_board
            world.to_board = b""
        if not self.data:
            return 0 if self is not world.socket else None
        count = min(len(buffer), len(self.data))
        buffer[:count] = self.data[:count]
        self.data = self.data[count:]
        return count

    def close(self):
        if world.socket is self:
            world.socket = None


stub(
    "socket",
    socket=Socket,
    AF_INET=2,
    SOCK_DGRAM=2,
    SOCK_STREAM=1,
    getaddrinfo=lambda host, port, *_more: [(2, 1, 0, "", (host, port))],
)


class Context:
    verify_mode = 0

    def __init__(self, _protocol):
        pass

    def load_verify_locations(self, _data):
        pass

    def load_cert_chain(self, _cert, _key):
        pass

    def wrap_socket(self, raw, server_hostname):  # noqa: ARG002
        world.at_handshake()
        return raw


stub("tls", SSLContext=Context, PROTOCOL_TLS_CLIENT=0, CERT_REQUIRED=2)
stub("ssl", SSLContext=Context, PROTOCOL_TLS_CLIENT=0, CERT_REQUIRED=2)


class Wlan:
    def active(self, *_flag):
        return True

    def connect(self, *_who):
        pass

    def disconnect(self):
        pass

    def isconnected(self):
        return world.online


stub("network", WLAN=lambda _kind: Wlan(), STA_IF=0)

# the chip and its parts


class Nvs:
    values = {}

    def __init__(self, _space):
        pass

    def get_i32(self, key):
        if key not in self.values:
            raise OSError(-4354)
        return self.values[key]

    def set_i32(self, key, value):
        self.values[key] = value

    def get_blob(self, key, buffer):
        data = self.get_i32(key)
        buffer[: len(data)] = data
        return len(data)

    def set_blob(self, key, data):
        self.values[key] = bytes(data)

    def erase_key(self, key):
        self.get_i32(key)
        del self.values[key]

    def commit(self):
        pass


stub("esp32", NVS=Nvs)


class Pin:
    IN, OUT, PULL_DOWN, IRQ_RISING = 0, 1, 2, 4

    def __init__(self, number, *_mode):
        self.number = number

    def value(self, *_level):
        return 1

    def irq(self, *_what):
        pass


class Adc:
    ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = 0, 1, 2, 3

    def __init__(self, pin, atten):  # noqa: ARG002
        self.number = pin.number

    def atten(self, _attenuation):
        pass

    def read_uv(self):
        return {36: 400000, 39: 300000, 34: 1400000, 35: 500000}.get(self.number, 1000000)


class Uart:
    ANSWERS = {
        "Status": "?Status,P,5.03",
        "Cal,?": "?Cal,3",
        "Slope,?": "?Slope,99.7,100.3,-0.89",
        "K,?": "?K,0.10",
        "O,?": "?O,EC",
        "Export,?": "?Export,2,20",
        "": "*ER",
    }

    def __init__(self, number, baudrate, tx, rx):  # noqa: ARG002
        self.number = number
        self.waiting = b""
        self.exported = 0

    def write(self, data):
        command = data[:-1].decode()
        if command == "i":
            answer = "?i,pH,2.10" if self.number == 1 else "?i,EC,2.10"
        elif command == "R" or command.startswith("RT"):
            answer = "7.52" if self.number == 1 else "120.5"
        elif command == "Export":
            self.exported = (self.exported + 1) % 3
            answer = "5959584F3331" if self.exported else "*DONE"
        else:
            answer = self.ANSWERS.get(command, "*OK")
        self.waiting = answer.encode() + b"\r" + (b"" if answer[0] == "*" else b"*OK\r")

    def any(self):
        return len(self.waiting)

    def read(self, _count):
        data = self.waiting
        self.waiting = b""
        return data

    def deinit(self):
        pass


class Rtc:
    def datetime(self, *_given):
        return (2026, 11, 30, 0, 12, 0, 0, 0)

    def memory(self, *_given):
        return b""


def ended(*_given):
    raise Ended


stub(
    "machine",
    Pin=Pin,
    ADC=Adc,
    UART=Uart,
    RTC=Rtc,
    WDT=lambda timeout: type("Wdt", (), {"feed": lambda self: None})(),  # noqa: ARG005
    PWRON_RESET=1,
    DEEPSLEEP_RESET=4,
    SOFT_RESET=5,
    reset_cause=lambda: 1,
    unique_id=lambda: b"\x24\x0a\xc4\x00\x00\x01",
    reset=ended,
    soft_reset=ended,
    deepsleep=ended,
)


class OneWireError(Exception):
    pass


class Ds18x20:
    def __init__(self, _bus):
        pass

    def scan(self):
        return [bytearray(b"\x28\xff\x64\x1e\x8c\x16\x03\x5f")]

    def convert_temp(self):
        pass

    def read_scratch(self, _rom):
        return bytearray(b"\x41\x01\x4b\x46\x7f\xff\x0f\x10\x00")


class OneWire:
    def __init__(self, _pin):
        pass

    @staticmethod
    def crc8(_data):
        return 0

    def scan(self):
        return Ds18x20(None).scan()


stub("onewire", OneWire=OneWire, OneWireError=OneWireError)
stub("ds18x20", DS18X20=Ds18x20)
