"""Runs on MicroPython: a whole board with nine fakes, a scripted broker and a fake clock. Prints figures.

Argument: simulated hours.
"""

import gc
import json
import sys

import umqtt.simple  # noqa: F401 - on a board the link's transport loads it
from buoy import umqtt_transport  # noqa: F401
from test_buoy_board import World

from sensors.catalog import KEYS


class Broker:
    """A transport that acknowledges at the next poll and keeps nothing."""

    def __init__(self):
        self.listener = None
        self.writable = True
        self.opening = False
        self.todo = []
        self.published = 0

    def open(self):
        self.todo.append(lambda: self.listener.on_open(False))

    def subscribe(self, _topics, _qos, packet_id):
        self.todo.append(lambda: self.listener.on_suback(packet_id, b"\x01\x01"))

    def publish(self, _topic, _payload, _qos, packet_id, _dup):
        self.published += 1
        self.todo.append(lambda: self.listener.on_pubacks((packet_id,)))

    def ping(self):
        self.todo.append(lambda: self.listener.on_pong())

    def poll(self):
        todo = self.todo
        self.todo = []
        for act in todo:
            act()
        return bool(todo)

    def flush(self):
        pass

    def disconnect(self):
        pass

    def close(self):
        pass


def used():
    gc.collect()
    return gc.mem_alloc()


world = World(publish_interval_s=60, sensors={key: {"mode": "counter"} for key in KEYS})
world.boot()
broker = Broker()
broker.listener = world.board.link
world.board.transport = world.board.link.transport = broker
while world.now_ms < 10000:
    world.board.step()
    world.now_ms += 100
    world.output = b""
started = used()
first_hour = None
end_ms = int(sys.argv[1]) * 3600000
while world.now_ms < end_ms:
    world.board.step()
    world.now_ms += 500
    world.output = b""
    if first_hour is None and world.now_ms >= 3600000:
        first_hour = used()
print(  # noqa: T201
    json.dumps(
        {
            "started": started,
            "first_hour": first_hour,
            "last_hour": used(),
            "published": broker.published,
            "waiting": world.board.outbox.count,
        }
    )
)
