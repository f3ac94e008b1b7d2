"""Runs on MicroPython: the link over umqtt, as a board's loop drives it. Prints one JSON object at the end.

Arguments: PORT MESSAGES QOS MILLISECONDS [policy=value ...]
"""

import gc
import json
import sys
import time

from buoy.link import Link, LinkPolicy
from buoy.message import Message
from buoy.outbox import MemoryOutbox
from buoy.umqtt_transport import UmqttTransport

port, count, qos, limit_ms = (int(text) for text in sys.argv[1:5])
policy = {"qos": qos}
for text in sys.argv[5:]:
    name, value = text.split("=")
    policy[name] = int(value)


class Journal:
    def __init__(self):
        self.acknowledged_count = 0
        self.attempts = 0

    def sent(self, message):
        self.attempts += 1

    def acknowledged(self, message):
        self.acknowledged_count += 1


journal = Journal()
troubles = []
configs = []
longest_ms = 0
transport = UmqttTransport("buoy-100", "127.0.0.1", port, 60, open_timeout_ms=policy.get("connect_timeout_ms", 5000))
outbox = MemoryOutbox(100)
link = Link(
    transport,
    outbox,
    LinkPolicy(**policy),
    (b"aws/0/100/config/global/", b"aws/0/100/config/sensor/"),
    lambda: 0.5,
    journal,
    lambda topic, payload: configs.append([topic.decode(), payload.decode()]),
    troubles.append,
)
start = time.ticks_ms()
link.connect(0)
made = 0
while True:
    now = time.ticks_diff(time.ticks_ms(), start)
    if journal.acknowledged_count >= count or now > limit_ms:
        break
    before = time.ticks_ms()
    busy = transport.poll()
    while made < count and link.room():
        link.send(Message(made, b"aws/0/100/data/", b'{"ph":%d.00,"timestamp":%d}' % (made, made), now), now)
        made += 1
    link.step(now)
    transport.flush()
    spent = time.ticks_diff(time.ticks_ms(), before)
    longest_ms = max(longest_ms, spent)
    if not busy and not link.room():
        time.sleep_ms(1)
link.stop()
gc.collect()
print(
    json.dumps(
        {
            "acknowledged": journal.acknowledged_count,
            "attempts": journal.attempts,
            "made": made,
            "troubles": troubles[:20],
            "trouble_count": len(troubles),
            "configs": configs,
            "longest_ms": longest_ms,
            "spent_ms": time.ticks_diff(time.ticks_ms(), start),
            "heap": gc.mem_alloc(),
        }
    )
)
