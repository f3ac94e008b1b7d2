"""Drivers on simulated parts, with the clock in the test's hands."""

from buoyfleet.simulation.buoy import simulated_buoy
from buoyfleet.simulation.parts.solutions import water
from sensors import flags
from sensors.build import make_driver, make_sensors
from sensors.reader import Reader


class Rig:
    """A simulated buoy and drivers of ours on it."""

    def __init__(self, seed=1, **options):
        options.setdefault("place", water())
        self.buoy = simulated_buoy(options.pop("buoy_id", 100), seed, **options)
        self.bench = self.buoy.bench
        self.now_ms = 0
        self.took_ms = 0

    def wait(self, seconds):
        self.now_ms += int(1000 * seconds)
        self.buoy.advance_to_ms(self.now_ms)

    def driver(self, key, **settings):
        """A driver with this board's calibration, single (no power switches)."""
        given = {**self.buoy.settings["sensors"][key], **settings}
        given.pop("mode")
        return make_driver(key, given, self.buoy.modules)

    def drive(self, sensor, temperature_c=None, limit_s=200):
        """One reading to its end."""
        begin_ms = self.now_ms
        sensor.start(self.now_ms)
        if hasattr(sensor, "temperature_c"):
            sensor.temperature_c = temperature_c
        while not sensor.poll(self.now_ms):
            self.now_ms = max(self.now_ms, sensor.due_ms)
            self.buoy.advance_to_ms(self.now_ms)
            assert self.now_ms - begin_ms < 1000 * limit_s, "the reading does not end"
        self.took_ms = self.now_ms - begin_ms
        return sensor

    def names(self, sensor):
        return set(flags.names(sensor.flags))

    def command(self, sensor, text, process_ms=900):
        """A command of the bench through an EZO driver; gives the reply."""
        sensor.begin_command(text, self.now_ms, process_ms)
        while not sensor.poll(self.now_ms):
            self.now_ms = max(self.now_ms, sensor.due_ms)
            self.buoy.advance_to_ms(self.now_ms)
        return sensor.reply

    def reader(self, **changes):
        settings = {**self.buoy.settings, **changes}
        return Reader(make_sensors(settings, self.buoy.modules))
