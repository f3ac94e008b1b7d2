"""What the console can do with a board; docs/firmware.md lists it for people."""

import gc
import sys

from buoy.console import LATER, Refused
from buoy.identity import RUN_MARK

FIRMWARE = "1.0.0"
_PUBLIC = ("certs/ca.der", "certs/cert.der")
_MOST_TOLD = 20  # events told again for one request


def handlers(board):
    """Command → handler, for `Console`."""
    identity = board.identity
    console = board.console

    def whole(request, name, least, most):
        value = request.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Refused("%s is %r; a whole number from %d to %d" % (name, value, least, most))
        return value

    def state():
        return {
            "buoy": identity.buoy_id(),
            "thing": identity.text("thing"),
            "wifi": "set" if identity.text("ssid") else "unset",
        }

    def identify(_request):
        from binascii import hexlify

        body = state()
        body["mac"] = hexlify(board.machine.unique_id()).decode()
        body["chip"] = sys.platform
        body["micropython"] = ".".join([str(part) for part in sys.implementation.version[:3]])
        body["firmware"] = FIRMWARE
        body["reset_cause"] = board.machine.reset_cause()
        body["maintenance"] = board.maintenance_ms > 0
        body["boot"] = board.boot
        body["events"] = console.events
        return body

    def file_hash(request):
        import hashlib
        from binascii import hexlify

        path = request.get("path")
        if not isinstance(path, str) or ("certs" in path and path not in _PUBLIC):
            raise Refused("path is %r; a file outside certs/, or a certificate" % (path,))
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while True:
                block = file.read(512)
                if not block:
                    return hexlify(digest.digest()).decode()
                digest.update(block)

    def set_settings(request):
        changes = request.get("settings")
        if not isinstance(changes, dict):
            raise Refused("settings is %r; an object" % (changes,))
        from buoy import settings

        board.settings = settings.merged(board.settings, changes)
        settings.save(board.settings)
        return "in force after reboot"

    def set_id(request):
        identity.set_buoy_id(request.get("buoy"))
        return state()

    def set_thing(request):
        identity.set_texts(thing=request.get("thing"))
        return state()

    def set_wifi(request):
        identity.set_texts(ssid=request.get("ssid"), password=request.get("password", ""))
        return state()

    def sensors(request):
        if board.reading is not None:
            raise Refused("the sensors are being read for another request")
        reader = board.make_reader()
        keys = request.get("keys")
        if keys is not None and not (isinstance(keys, list) and all(key in reader.sensors for key in keys)):
            raise Refused("keys is %r; some of %s" % (keys, ", ".join(sorted(reader.sensors))))
        reader.start(board.clock.now_ms(), keys and tuple(keys))
        request_id = request["id"]

        def go_on(now_ms):
            if not reader.poll(now_ms):
                return False
            answer = {}
            for key in keys or reader.sensors:
                sensor = reader.sensors[key]
                answer[key] = {
                    "value": sensor.value,
                    "unit": sensor.unit,
                    "raw": sensor.raw,
                    "flags": sensor.flags,
                    "measured": getattr(sensor, "measured", sensor.value),
                    "note": sensor.note,
                }
            console.answer(request_id, answer)
            return True

        board.reading = go_on
        return LATER

    def circuit(request):
        """The driver of an EZO circuit, free for commands."""
        if board.reading is not None:
            raise Refused("the sensors are being read for another request")
        driver = board.make_reader().sensors.get(request.get("key"))
        if not hasattr(driver, "begin_command"):
            raise Refused("key is that of an EZO circuit in use (ph, ec)")
        return driver

    def ezo(request):
        driver = circuit(request)
        command = request.get("command")
        if not isinstance(command, str):
            raise Refused("command is a text")
        board.converse(driver, iter((command,)), request["id"], whole(request, "process_ms", 100, 5000))
        return LATER

    def keep(request):
        driver = circuit(request)
        from buoy import circuits

        name = request.get("step")
        if name not in circuits.STEPS:
            raise Refused("step is %r; one of %s" % (name, ", ".join(circuits.STEPS)))
        board.converse(driver, circuits.STEPS[name](driver.key), request["id"])
        return LATER

    def calibrate(request):
        key = request.get("key")
        step = request.get("step")
        from buoy import settings

        held = board.settings
        if key not in held["sensors"] or (step != "write" and key not in held[settings.CALIBRATION]):
            raise Refused("key is %r; that of a sensor with a calibration to %s" % (key, step))
        if step == "write":
            changes = request.get("set")
            note = request.get("note")
            if not isinstance(changes, dict) or not isinstance(note, dict):
                raise Refused("set and note are objects")
            new = settings.calibrated(held, key, changes, note)
        elif step in ("accept", "revert"):
            new = (settings.accepted if step == "accept" else settings.reverted)(held, key)
        else:
            raise Refused("step is %r; write, accept or revert" % (step,))
        settings.save(new)
        board.settings = new
        return "in force after reboot"

    def count(_request):
        meter = board.make_reader().sensors.get("wf")
        if not hasattr(meter, "pulses"):
            raise Refused("wf is no flow meter here")
        return {"pulses": meter.pulses(), "ticks": board.clock.now_ms()}

    def run(request):
        from buoy.schedule import Schedule

        if board.app is None:
            raise Refused("no application runs: maintenance, or not commissioned")
        if not board.clock.known():
            raise Refused("the time is not known yet; clock with utc sets it")
        first = whole(request, "first", 0, 1 << 30) if "first" in request else 0
        if not first and not board.link.idle():
            # Their numbers would pass for those of the plan.
            raise Refused("messages from before are still on their way; ask again when they have arrived")
        start_ms = board.clock.local_ms(whole(request, "start", 0, 1 << 52))
        interval_ms = None
        part_us = rest_us = 0
        if request.get("interval_us") is not None:
            interval_us = whole(request, "interval_us", 1000, 2678400000000)
            interval_ms, part_us = divmod(interval_us, 1000)
            ahead_ms, rest_us = divmod(first * interval_us, 1000)
            start_ms += ahead_ms
        count = end_ms = None
        if request.get("count") is not None:
            count = whole(request, "count", 1, 10000000)
        if request.get("end") is not None:
            end_ms = board.clock.local_ms(whole(request, "end", 0, 1 << 52))
        if count is None and end_ms is None:
            raise Refused("count or end is needed")
        identity.set(RUN_MARK, "1")
        if request.get("durable") is True and (console.ring is None or not first):
            board.keep_events(True)
        board.journal.on = True
        board.link.policy.durable = request.get("durable") is True
        board.app.schedule = Schedule(start_ms, interval_ms, count, end_ms, first, part_us, rest_us)
        return {"starts_in_ms": start_ms - board.clock.now_ms(), "events": console.events}

    def stop(request):
        app = board.app
        left = None
        if app is not None and app.schedule is not None:
            left = app.schedule.left()
            app.schedule = None
        if request.get("give_up") is True and board.journal.on:
            board.outbox.clear("not sent before the run ended")
        if request.get("end") is True:
            board.journal.on = False
            identity.set(RUN_MARK, "")
            if console.ring is not None:
                console.ring.clear()
                console.ring = None
        return {"left": left}

    def tell(request, console=console, most=_MOST_TOLD):
        first = whole(request, "first", 1, 1 << 30)
        last = whole(request, "last", first, 1 << 30)
        numbers = []
        if board.console.ring is not None:
            for number, text in board.console.ring.events(first, last):
                console.tell(number, text)
                numbers.append(number)
                if len(numbers) >= most:
                    break
        return {"told": numbers}

    def health(_request):
        gc.collect()
        body = {
            "uptime_ms": board.clock.now_ms(),
            "boot": board.boot,
            "utc": board.clock.known(),
            "link": board.link.state if board.link else None,
            "reconnects": board.link.reconnects if board.link else 0,
            "wifi": bool(board.wifi and board.wifi.up),
            "outbox": board.outbox.count if board.outbox else 0,
            "last_seq": board.outbox.last_seq if board.outbox else -1,
            "idle": board.link.idle() if board.link else True,
            "dropped": board.outbox.dropped if board.outbox else 0,
            "events": console.events,
            "dropped_events": console.dropped_events,
            "dropped_lines": console.dropped_lines,
            "trouble": board.trouble,
        }
        if hasattr(gc, "mem_free"):  # MicroPython
            body["heap_free"] = gc.mem_free()
            body["heap_used"] = gc.mem_alloc()
        esp32 = board.modules("esp32")
        if hasattr(esp32, "idf_heap_info"):
            # (total, free, largest free block, least free ever) per region, outside the Python heap
            regions = esp32.idf_heap_info(esp32.HEAP_DATA)
            body["idf_free"] = sum([region[1] for region in regions])
            body["idf_largest"] = max([region[2] for region in regions])
        return body

    def clock(request):
        now_ms = board.clock.now_ms()
        if "utc" in request:
            board.clock.set_utc(whole(request, "utc", 1704067200000, 1 << 52), now_ms)
        return {"ticks": now_ms, "utc": board.clock.utc_ms(now_ms) if board.clock.known() else None}

    def log(request):
        console.set_level(request.get("level"))
        return request["level"]

    def maintenance(request):
        identity.set_maintenance(request.get("seconds"))
        return "in force after reboot"

    def reboot(request):
        board.action = board.soft_reset if request.get("soft") is True else board.reset
        return board.boot

    return {
        "identify": identify,
        "hash": file_hash,
        "get": lambda _request: board.settings,
        "set": set_settings,
        "id": set_id,
        "thing": set_thing,
        "wifi": set_wifi,
        "sensors": sensors,
        "ezo": ezo,
        "keep": keep,
        "calibrate": calibrate,
        "count": count,
        "run": run,
        "stop": stop,
        "tell": tell,
        "health": health,
        "clock": clock,
        "log": log,
        "maintenance": maintenance,
        "reboot": reboot,
    }
