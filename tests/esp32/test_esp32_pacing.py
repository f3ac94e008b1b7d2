"""A paced line: no faster than its baud rate, and in order."""

import asyncio
import time

from buoyfleet.simulation.esp32.pacer import Pacer
from buoyfleet.simulation.esp32.simulator import _new_loop


def test_bytes_arrive_in_order_and_no_faster_than_the_rate():
    loop = _new_loop()
    got = []
    sent = [bytes((n % 256,)) * (n % 7 + 1) for n in range(1000)]

    async def run():
        pacer = Pacer(loop, lambda data, _flag: got.append(data))
        for data in sent:
            pacer.send(data, False, 115200)
            if len(data) == 3:
                await asyncio.sleep(0)
        while len(got) < len(sent):
            await asyncio.sleep(0.005)

    begin = time.monotonic()
    loop.run_until_complete(asyncio.wait_for(run(), 10))
    took_s = time.monotonic() - begin
    loop.close()
    assert got == sent
    assert took_s >= 0.99 * sum(map(len, sent)) * 10 / 115200
