"""Which twins run on this machine: the usual one, and those that runs have started."""

import asyncio
import contextlib
import json
from pathlib import Path

from buoyfleet.cloud.local.control_client import ControlClient, parse_address
from buoyfleet.cloud.local.left_files import ADDRESS_FILE
from buoyfleet.model.errors import TargetError

_ANSWER_S = 2.0
_MODULE = "buoyfleet.cloud.local.server"


async def find_twins(usual: str) -> dict[str, str]:
    """Control address → folder of every twin that answers.

    Args:
        usual: the control address where a twin is looked for in any case.
    """
    addresses = dict.fromkeys([usual, *_of_runs()])
    found = await asyncio.gather(*(_folder(address) for address in addresses))
    return {address: folder for address, folder in zip(addresses, found, strict=True) if folder}


async def _folder(address: str) -> str:
    client = ControlClient(*parse_address(address))
    try:
        await client.open(_ANSWER_S)
        return str((await client.request("status", _ANSWER_S))["folder"])
    except TargetError:
        return ""
    finally:
        client.close()


def _of_runs() -> list[str]:
    """By the processes of this user: a run's twin is started with a file of the run's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if _MODULE not in words:
                continue
            config = (process / "cwd").resolve() / words[words.index(_MODULE) + 1]
            address = json.loads((config.parent / ADDRESS_FILE).read_text(encoding="utf-8"))
            found.append(f"{address['host']}:{int(address['control_port'])}")
    return sorted(found)
