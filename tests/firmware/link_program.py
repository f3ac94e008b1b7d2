"""Runs on MicroPython: the link over umqtt, as a board's loop drives it. Prints one JSON object at the end.

Arguments: PORT MESSAGES QOS MILLISECONDS [policy=value ...] [ca=FILE cert=FILE key=FILE]
"""

import gc
import json
import os
import sys
import time

from buoy.link import CONNECTING, Link, LinkPolicy
from buoy.message import Message
from buoy.outbox import MemoryOutbox
from buoy.umqtt_transport import UmqttTransport

port, count, qos, limit_ms = (int(text) for text in sys.argv[1:5])
policy = {"qos": qos}
files = {}
for text in sys.argv[5:]:
    name, value = text.split("=")
    if name in ("ca", "cert", "key"):
        files[name] = value
    else:
        policy[name] = int(value)


def wrap(raw):
    import tls

    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    context.load_verify_locations(read(files["ca"]))
    context.load_cert_chain(read(files["cert"]), read(files["key"]))
    return context.wrap_socket(raw, server_hostname="localhost")


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Journal:
    def __init__(self):
        self.acknowledged_count = 0
        self.attempts = 0

    def sent(self, _message):
        self.attempts += 1

    def acknowledged(self, _message):
        self.acknowledged_count += 1


def on_trouble(reason):
    global trouble_count
    trouble_count += 1
    if len(troubles) < 20:
        troubles.append(reason)


journal = Journal()
troubles = []
trouble_count = 0
configs = []
longest_ms = 0
turns = 0
open_timeout_ms = policy.get("connect_timeout_ms", 5000)
transport = UmqttTransport("buoy-100", "127.0.0.1", port, 60, open_timeout_ms, wrap if files else None)
outbox = MemoryOutbox(100)
link = Link(
    transport,
    outbox,
    LinkPolicy(**policy),
    (b"aws/0/100/config/global/", b"aws/0/100/config/sensor/"),
    lambda: 0.5,
    journal,
    lambda topic, payload: configs.append([topic.decode(), payload and payload.decode()]),
    on_trouble,
)
start = time.ticks_ms()
link.connect(0)
made = 0
while True:
    now = time.ticks_diff(time.ticks_ms(), start)
    if (journal.acknowledged_count if qos else journal.attempts) >= count or now > limit_ms:
        break
    connecting = link.state == CONNECTING
    before = time.ticks_ms()
    busy = transport.poll()
    while made < count and link.room():
        link.send(Message(made, b"aws/0/100/data/", b'{"ph":%d.00,"timestamp":%d}' % (made, made), now), now)
        made += 1
    link.step(now)
    transport.flush()
    spent = time.ticks_diff(time.ticks_ms(), before)
    turns += 1
    if not connecting:
        longest_ms = max(longest_ms, spent)
    if not busy and not link.room():
        time.sleep_ms(1)
link.stop()
gc.collect()
print(  # noqa: T201
    json.dumps(
        {
            "acknowledged": journal.acknowledged_count,
            "attempts": journal.attempts,
            "made": made,
            "troubles": troubles,
            "trouble_count": trouble_count,
            "configs": configs,
            "longest_ms": longest_ms,
            "turns": turns,
            "spent_ms": time.ticks_diff(time.ticks_ms(), start),
            "heap": gc.mem_alloc(),
            "descriptors": len(os.listdir("/proc/self/fd")),
        }
    )
)
