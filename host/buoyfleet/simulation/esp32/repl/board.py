# ruff: noqa
# mypy: ignore-errors
"""MicroPython side of a simulated board: file system, modules, boot.py, main.py and the REPL.

micropython board.py WIRE_FD STATUS_FD FLASH OFFSET SIZE CONTROL_FILE raw|friendly START VERSION+MACHINE FOLDER…

Status bytes to the supervisor: B code runs, I it waits for input, K Ctrl-C is data, k Ctrl-C interrupts,
c one Ctrl-C was read as input, h an interrupt was taken, P the power was cut by the block device. Exit 64: soft reset in raw mode, 65: friendly.
"""

import gc
import io
import os
import sys
import vfs
from time import sleep

gc.threshold(4096)  # while the simulation's modules are compiled: few gaps between them
import ctrl_c
from buoy_root import Root
from partition import Control, Partition

_status = open("/proc/self/fd/" + sys.argv[2], "wb")
_in = sys.stdin.buffer
_out = sys.stdout.buffer
SOFT_RAW, SOFT_FRIENDLY = 64, 65
# The interpreter that stands in flash, for which this one runs.
VERSION, _, MACHINE = sys.argv[9].partition(" ")
CORRUPTED = b"""\
The filesystem appears to be corrupted. If you had important data there, you\r
may want to make a flash snapshot to try to recover it. Otherwise, perform\r
factory reprogramming of MicroPython firmware (completely erase flash, followed\r
by firmware programming).\r
"""
COMPOUND = ("if", "for", "while", "try", "with", "def", "class", "async")


def end_with_supervisor():
    """Have the system end this process with the supervisor, even one that is killed. Elsewhere than on Linux the
    wire tells it, at the next use of a pin."""
    try:
        import ffi

        prctl = ffi.open(None).func("i", "prctl", "iiiii")
    except (ImportError, OSError):
        return
    prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL


def tell(what):
    _status.write(what)


def write(data):
    _out.write(data)


def get():
    got = _in.read(1)
    if not got:
        sys.exit(0)
    if got[0] == 3:
        tell(b"c")
    return got[0]


def run(source, name, single=False):
    """What went wrong, as printed; None if nothing. SystemExit is a soft reset."""
    error = None
    try:
        try:
            ctrl_c.on()
            tell(b"B")
            exec(compile(source, name, "single" if single else "exec"), _globals)
            ctrl_c.off()
        except BaseException as raised:
            ctrl_c.off()
            error = raised
    except KeyboardInterrupt as raised:  # it came as the program ended, or once more
        ctrl_c.off()
        error = raised
    tell(b"I")
    if error is None or isinstance(error, SystemExit):
        return error and SystemExit
    text = io.StringIO()
    sys.print_exception(error, text)
    return text.getvalue().replace("\n", "\r\n").encode()


def soft_reset(code):
    write(b"MPY: soft reboot\r\n")
    sys.exit(code)


def raw():
    write(b"raw REPL; CTRL-B to exit\r\n>")
    buffer = bytearray()
    while True:
        c = get()
        if c == 1:
            buffer = bytearray()
            write(b"raw REPL; CTRL-B to exit\r\n>")
        elif c == 2:
            write(b"\r\n")
            return
        elif c == 3:
            buffer = bytearray()
        elif c == 5 and not buffer:
            get()
            get()
            buffer = paste()
            write(b"\x04")
            if buffer:
                execute(buffer)
            write(b"\x04>")
            buffer = bytearray()
        elif c == 4:
            write(b"OK")
            if not buffer:
                write(b"\r\n")
                soft_reset(SOFT_RAW)
            execute(buffer)
            write(b"\x04>")
            buffer = bytearray()
        else:
            buffer.append(c)


def paste():
    window = 128
    write(b"R\x01" + bytes((window, 0)) + b"\x01")
    buffer = bytearray()
    count = 0
    while True:
        c = get()
        if c == 4:
            return buffer
        if c == 3:
            return None
        buffer.append(c)
        count += 1
        if count == window:
            write(b"\x01")
            count = 0


def execute(buffer):
    try:
        source = str(buffer, "utf8")
    except UnicodeError:
        source = "raise UnicodeError"
    error = run(source, "<stdin>")
    if error is SystemExit:
        write(b"\x04\x04\r\n")
        soft_reset(SOFT_RAW)
    write(b"\x04")
    if error:
        write(error)
    gc.collect()


def friendly():
    write(BANNER)
    line = bytearray()
    lines = []
    while True:
        c = get()
        if c == 1:
            raw()
            write(BANNER)
            line, lines = bytearray(), []
        elif c == 2 and not line:
            write(b"\r\n" + BANNER)
        elif c == 3:
            line, lines = bytearray(), []
            write(b"\r\n>>> ")
        elif c == 4:
            if line or lines:
                continue
            write(b"\r\n")
            soft_reset(SOFT_FRIENDLY)
        elif c == 5 and not line:
            write(b"\r\npaste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== ")
            text = paste_friendly()
            if text:
                finish(text)
            write(b">>> ")
        elif c in (8, 127):
            if line:
                line = line[:-1]
                write(b"\x08 \x08")
        elif c in (10, 13):
            write(b"\r\n")
            text = str(line, "utf8")
            line = bytearray()
            if lines or text.rstrip().endswith(":") or text.split(" ")[0].rstrip(":") in COMPOUND:
                lines.append(text)
                if text.strip():
                    write(b"... ")
                    continue
                text = "\n".join(lines)
                lines = []
            if text.strip():
                finish(text, len(text.split("\n")) == 1)
            write(b">>> ")
        else:
            line.append(c)
            write(bytes((c,)))


def paste_friendly():
    buffer = bytearray()
    while True:
        c = get()
        if c == 4:
            write(b"\r\n")
            return str(buffer, "utf8")
        if c == 3:
            write(b"\r\n")
            return ""
        buffer.append(10 if c == 13 else c)
        write(b"\r\n=== " if c == 13 else bytes((c,)))


def finish(text, single=False):
    error = run(text.replace("\r", ""), "<stdin>", single)
    if error is SystemExit:
        soft_reset(SOFT_FRIENDLY)
    if error:
        write(error)
    gc.collect()


def run_file(name, again):
    """Run boot.py or main.py, if there; False if it failed or was interrupted."""
    try:
        with open(name) as file:
            source = file.read()
    except OSError:
        return True
    error = run(source, name)
    source = None
    gc.collect()
    if error is SystemExit:
        soft_reset(again)
    if error:
        write(error)
    return not error


class Micropython:
    """The module `micropython`, whose kbd_intr the supervisor must know of."""

    def __getattr__(self, name):
        return getattr(_micropython, name)

    def mem_info(self, verbose=None):
        buoy_memory.mem_info(verbose)

    def kbd_intr(self, char):
        tell(b"K" if char == -1 else b"k")


def version_tuple(text):
    """`sys.implementation.version` of `v1.26.0-preview.12.gabc`: (1, 26, 0, 'preview')."""
    numbers, _, rest = text[1:].partition("-")
    try:
        numbers = [int(number) for number in numbers.split(".")] + [0, 0]
    except ValueError:  # a build from a copy without tags: it names a commit
        return sys.implementation.version
    return tuple(numbers[:3]) + ("preview" if rest.startswith("preview") else "",)


class Implementation(tuple):
    """`sys.implementation` of an ESP32: a tuple of name and version with names for its parts."""

    name = sys.implementation.name
    version = version_tuple(VERSION)
    _machine = MACHINE
    _mpy = sys.implementation._mpy  # this interpreter's: its kind of machine code is what mip must fetch
    _build = "ESP32_GENERIC"


class System:
    """The module `sys`, as programs for a board know it."""

    platform = "esp32"
    version = "3.4.0; MicroPython %s on 2025-04-15" % VERSION
    implementation = Implementation((Implementation.name, Implementation.version))

    def __getattr__(self, name):
        return getattr(_system, name)

    def __setattr__(self, name, value):
        setattr(_system, name, value)


def make_files():
    device = Partition(
        sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), Control(sys.argv[6], tell), ctrl_c.gate
    )
    folders = [vfs.VfsPosix(folder) for folder in sys.argv[10:]]
    try:
        flash = vfs.VfsLfs2(device)
        flash.statvfs("/")
    except OSError:
        # As the port's inisetup.py: only a partition that begins empty is formatted.
        first = bytearray(device.BLOCK)
        device.readblocks(0, first)
        while any(byte != 0xFF for byte in first):
            write(CORRUPTED)
            sleep(3)
        write(b"Performing initial setup\r\n")
        vfs.VfsLfs2.mkfs(device)
        flash = vfs.VfsLfs2(device)
        with flash.open("/boot.py", "w") as file:
            file.write("# This file is executed on every boot (including wake-boot from deepsleep)\n")
    vfs.umount("/")
    vfs.mount(Root(flash, folders), "/")
    return ["/:%d" % number for number in range(len(folders))]


import micropython as _micropython

_system = sys
BANNER = b'MicroPython %s on 2025-04-15; %s\r\nType "help()" for more information.\r\n>>> ' % (
    VERSION,
    MACHINE,
)
end_with_supervisor()
ctrl_c.start(tell)
_mode, _start, _wire_fd = sys.argv[7], sys.argv[8], int(sys.argv[1])
_wire = open(_wire_fd, "r+b", 0)
_own = make_files()
# What stands for the chip's own modules does not come from its files, whatever these are called.
sys.path[:] = _own
del sys.argv[:]
sys.modules["micropython"] = Micropython()
sys.modules["sys"] = System()
import buoy_wire

buoy_wire.connect(_wire).gate = ctrl_c.gate
import buoy_memory
import machine, esp32, network, onewire, ds18x20, ssl

try:
    import umqtt.simple  # a stock image has it frozen in, outside the heap
except ImportError:
    pass
for _name in ("Pin", "ADC", "UART"):
    buoy_memory.weigh(machine, _name)
sys.modules["tls"] = ssl
network.memory_changed = buoy_memory.refresh

sys.path[:] = ["", ".frozen", "/lib"] + _own
# Of these `machine` is one that a file can stand in for (MP_REGISTER_EXTENSIBLE_MODULE); `esp32` is not.
for _name in ("machine.py", "machine.mpy", "lib/machine.py", "lib/machine.mpy"):
    try:
        os.stat(_name)
        del sys.modules["machine"]
        break
    except OSError:
        pass
_globals = {"__name__": "__main__"}
buoy_memory.start(buoy_wire.current())
gc = sys.modules["gc"] = buoy_memory.Gc()
_again = SOFT_RAW if _mode == "raw" else SOFT_FRIENDLY
if _start == "run":
    # As in the ESP32 port's main.c: after a boot.py that failed, or was stopped with Ctrl-C, main.py does not run.
    if run_file("boot.py", _again) and _mode != "raw":
        run_file("main.py", _again)
tell(b"I")
if _mode == "raw":
    raw()
while True:
    friendly()
