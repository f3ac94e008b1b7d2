"""One reading of all sensors of a buoy, interleaved: it takes no longer than the slowest of them."""

from sensors import forget, once, quality, seldom
from sensors.crosscheck import Crosscheck

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sensors.driver import Driver
    from sensors.fakes import Fake

# These wait for the end of these: the EZO-EC's excitation couples into the TDS probe beside it.
AFTER = {"ec": "tds"}

TEMPERATURE_AGE_MS = 600000  # a river moves less than the parts' accuracy in this time


class Reader:
    """Starts the sensors together, hands the water temperature on, compares the results.

    Args:
        sensors: drivers (and fakes, if wanted), at most one per key.

    `start`, `poll` and `due_ms` are those of a sensor; a reading that takes part of the sensors only is
    `start(now_ms, keys)`. The temperature is that of the same reading, or one at most ten minutes old;
    and from a driver alone: a fake's temperature is not the water's.
    """

    @once
    def __init__(self, sensors: "list[Driver | Fake]") -> None:
        self._keys = tuple([sensor.key for sensor in sensors])  # MicroPython's dictionaries have no order
        self.sensors: "dict[str, Driver | Fake]" = {sensor.key: sensor for sensor in sensors}
        self._drivers: "dict[str, Driver]" = {}
        for sensor in sensors:
            # A fake has `sample`; asking for the class would load the drivers on a board that has none.
            if not hasattr(sensor, "sample"):
                self._drivers[sensor.key] = sensor
        self._running: "list[Driver | Fake]" = []
        self._crosscheck = Crosscheck()
        self.told: "dict[str, int]" = {}  # flags by key; emptied, all is told again
        self._read_keys: "tuple[str, ...]" = ()
        self.due_ms: float = 0

    def start(self, now_ms: float, keys: "tuple[str, ...] | None" = None) -> None:
        """Begin a reading of all sensors, or of those named."""
        self._read_keys = tuple([key for key in self._keys if keys is None or key in keys])
        self._running = [self.sensors[key] for key in self._read_keys]
        for sensor in self._running:
            driver = self._drivers.get(sensor.key)
            if driver is not None:
                driver.temperature_c = None
            sensor.start(now_ms)
        self._release(now_ms)
        self.due_ms = now_ms

    def poll(self, now_ms: float) -> bool:
        """Go on; True when every sensor is done and compared with the others."""
        if not self._running:
            return True
        if now_ms < self.due_ms:
            return False
        done = [sensor for sensor in self._running if sensor.due_ms <= now_ms and sensor.poll(now_ms)]
        if done:
            self._running = [sensor for sensor in self._running if sensor not in done]
            self._release(now_ms)
        if self._running:
            self.due_ms = min([sensor.due_ms for sensor in self._running])
            return False
        self._crosscheck.mark({key: self._drivers[key] for key in self._read_keys if key in self._drivers})
        return True

    def value(self, key: str) -> "float | bool | None":
        """What to publish for a key: of the last complete reading, None if it is withheld."""
        return self.sensors[key].value

    def values(self) -> "list[tuple[str, float | bool]]":
        """(key, value) of everything there is to publish from the last reading."""
        pairs = []
        for key in self._read_keys:
            value = self.sensors[key].value
            if value is not None:
                pairs.append((key, value))
        return pairs

    @seldom
    def take_errors(self) -> "list[tuple[str, int, str]]":
        """(key, code, text) for the error topic: every flag once when it appears, again after it was gone."""
        errors = []
        told = False
        for key in self._read_keys:
            sensor = self.sensors[key]
            new = sensor.flags & ~self.told.get(key, quality.OK)
            if new:
                from sensors.flags import errors as texts  # only a board in trouble needs them

                told = True
                errors.extend([(key, code, text) for _, code, text in texts(key, new, sensor.note)])
            self.told[key] = sensor.flags
        if told:
            forget("flags")
        return errors

    def _release(self, now_ms: float) -> None:
        """Hand the temperature on when it is known, and let go whoever waited."""
        keys = [sensor.key for sensor in self._running]
        measuring = False
        celsius = None
        for driver in self._drivers.values():
            if driver.offers_temperature:
                measuring = driver.key in keys
                if not measuring and driver.read_ms is not None:
                    age_ms = now_ms - driver.read_ms
                    celsius = driver.value if age_ms <= TEMPERATURE_AGE_MS else None
        for sensor in self._running:
            waiting = self._drivers.get(sensor.key)
            if waiting is not None:
                if waiting.needs_temperature:
                    waiting.temperature_c = celsius
                waiting.hold = (waiting.needs_temperature and measuring) or AFTER.get(sensor.key) in keys
