"""What only an ESP32 has: the serial port of the REPL, sockets, TLS files; and the loop that never ends."""

import gc
import select
import socket
import sys
import time

from buoy.board import Board
from buoy.identity import CERTS  # ca.der, cert.der, key.der in it: EC P-256
from sensors import once, seldom

COLLECT_BYTES = 4096  # taken since the last collection
SHORT_OF_MEMORY_MS = 100  # until a step that had no memory is tried again


class StdPort:
    """The REPL's serial port, without waiting."""

    def __init__(self):
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    def read(self):
        """What is there, at most 256 bytes, so that a flood does not hold the loop."""
        data = bytearray()
        while len(data) < 256 and self._poll.poll(0):
            byte = sys.stdin.buffer.read(1)
            if not byte:
                break
            data += byte
        return data

    def write(self, data):
        """Whole lines."""
        sys.stdout.buffer.write(data)


def read_file(name):
    """Bytes of a file in certs/."""
    with open(CERTS + "/" + name, "rb") as file:
        return file.read()


@once
def make_transport(settings, identity):
    """umqtt over TCP or mutual TLS."""
    from buoy.umqtt_transport import UmqttTransport

    host = settings["broker_host"]

    def wrap(raw):
        import tls

        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = tls.CERT_REQUIRED
        context.load_verify_locations(read_file("ca.der"))
        context.load_cert_chain(read_file("cert.der"), read_file("key.der"))
        gc.collect()
        return context.wrap_socket(raw, server_hostname=host)

    return UmqttTransport(
        identity.text("thing"),
        host,
        settings["broker_port"],
        settings["keep_alive_s"],
        settings["connect_timeout_s"] * 1000,
        wrap if settings["broker_tls"] else None,
    )


@seldom
def open_ntp(host, port):
    """A UDP socket to a time server, which takes packets of no other."""
    address = socket.getaddrinfo(host, port)[0][-1]
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.setblocking(False)
    found.connect(address)
    return found


def run(kept):
    """Never returns but by Ctrl-C or a soft reset.

    Args:
        kept: called once the program has proved that it works; None where it has before.
    """
    from binascii import crc32

    import machine

    from buoy.shims import keep_last, new_random

    # Boards must not back off in step: each has numbers of its own.
    # What stays is put where what was short-lived has left: it lies together, and room stays in one piece.
    gc.threshold(COLLECT_BYTES)
    random = new_random(crc32(machine.unique_id()) ^ time.ticks_us())
    try:
        board = Board(__import__, StdPort(), time.ticks_ms, make_transport, open_ntp, random)
        gc.collect()
        while True:
            try:
                wait_ms = board.step()
            except MemoryError:
                # What was under way is tried again: nothing is given up before it is done.
                keep_last(False)
                gc.collect()
                wait_ms = SHORT_OF_MEMORY_MS
            if kept:
                kept()
                kept = None
            if wait_ms > 0:
                time.sleep_ms(int(wait_ms))
    except Exception as error:
        # A person at the console sees where; the fleet sees a board that comes back.
        sys.print_exception(error)
        time.sleep(10)
        machine.reset()
