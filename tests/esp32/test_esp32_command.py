"""`buoy simulate`."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from esp32_bench import mpremote


def test_simulate_prints_ports_that_answer_and_ends_on_ctrl_c(tmp_path):
    command = [
        Path(sys.executable).parent / "buoy",
        "simulate",
        "--boards",
        "2",
        "--json",
        "--folder",
        tmp_path,
    ]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        boards = json.loads(process.stdout.readline())["boards"]
        assert [board["id"] for board in boards] == [128, 129]
        assert mpremote(boards[1]["port"], "eval", "__import__('machine').unique_id()[-1]").strip() == "129"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert not Path(boards[0]["port"]).exists()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
