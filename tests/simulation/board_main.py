"""Runs on MicroPython as a simulated board: reads all sensors a few times and prints what they said.

micropython board_main.py DESCRIPTOR SETTINGS_FILE READINGS
"""

import gc
import json
import os
import sys

sys.path[:] = os.getenv("BUOY_PATH").split(":")

import buoy_wire  # noqa: E402


def main(descriptor, settings_file, readings):
    wire = buoy_wire.connect_fd(descriptor, simulated=True)
    from sensors.build import make_sensors
    from sensors.reader import Reader

    with open(settings_file) as file:
        reader = Reader(make_sensors(json.load(file), buoy_wire.modules))
    now_ms = 0
    for _ in range(readings):
        reader.start(now_ms)
        while not reader.poll(now_ms):
            now_ms = max(now_ms, reader.due_ms)
            wire.now_us = int(now_ms * 1000)
        report = {}
        for key in reader.sensors:
            sensor = reader.sensors[key]
            report[key] = [sensor.value, sensor.flags]
        gc.collect()
        print(json.dumps({"now_ms": now_ms, "heap": gc.mem_alloc(), "sensors": report}))  # noqa: T201 - the test reads it


main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
