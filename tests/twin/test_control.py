"""The control channel of a twin that is busy."""

import asyncio
import json
import socket
import threading
from typing import Any

from buoyfleet.cloud.local.control import ControlServer


def test_a_look_is_answered_while_the_loop_of_the_twin_is_held() -> None:
    answers: list[Any] = []

    async def slow(_request: dict[str, Any], _progress: Any) -> dict[str, Any]:
        return {"thread": threading.current_thread().name}

    async def main() -> None:
        server = ControlServer({"slow": slow}, {"counts": lambda request: {"received": request["mark"]}})
        port = await server.start("127.0.0.1", 0)
        looked = threading.Event()

        def ask() -> None:
            with (
                socket.create_connection(("127.0.0.1", port), 90) as connection,
                connection.makefile("rw") as lines,
            ):
                for line in ('{"id": 1, "do": "counts", "mark": 7}', '{"id": 2, "do": "slow"}'):
                    lines.write(line + "\n")
                    lines.flush()
                    answers.append(json.loads(lines.readline()))
                    looked.set()

        asking = threading.Thread(target=ask)
        asking.start()
        assert looked.wait(90)  # on the loop itself, which therefore does nothing else
        assert answers[0] == {"id": 1, "received": 7}
        await asyncio.to_thread(asking.join, 90)
        assert answers[1] == {"id": 2, "thread": threading.current_thread().name}
        await server.stop()
        await server.stop()

    asyncio.run(main())
