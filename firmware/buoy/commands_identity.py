"""Console: who the board is, and starting it anew."""

import sys

from buoy.commands import FIRMWARE
from buoy.console import Refused

_PUBLIC = ("certs/ca.der", "certs/cert.der")


def _state(board):
    return {
        "buoy": board.identity.buoy_id(),
        "thing": board.identity.text("thing"),
        "wifi": "set" if board.identity.text("ssid") else "unset",
    }


def do_identify(board, _request):
    from binascii import hexlify

    body = _state(board)
    body["mac"] = hexlify(board.machine.unique_id()).decode()
    body["chip"] = sys.platform
    # "3.4.0; MicroPython v1.25.0 on 2025-04-15"
    body["micropython"] = sys.version.split(" on ")[0].split("MicroPython ")[-1].lstrip("v")
    body["firmware"] = FIRMWARE
    body["reset_cause"] = board.machine.reset_cause()
    body["maintenance"] = board.maintenance_ms > 0
    body["boot"] = board.boot
    body["events"] = board.console.events
    return body


def do_hash(_board, request):
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


def do_id(board, request):
    board.identity.set_buoy_id(request.get("buoy"))
    return _state(board)


def do_thing(board, request):
    board.identity.set_texts(thing=request.get("thing"))
    return _state(board)


def do_wifi(board, request):
    board.identity.set_texts(ssid=request.get("ssid"), password=request.get("password", ""))
    return _state(board)


def do_log(board, request):
    board.console.set_level(request.get("level"))
    return request["level"]


def do_maintenance(board, request):
    board.identity.set_maintenance(request.get("seconds"))
    return "in force after reboot"


def do_reboot(board, request):
    board.action = board.soft_reset if request.get("soft") is True else board.reset
    return board.boot
