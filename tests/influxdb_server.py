"""A real InfluxDB of our own on loopback, for tests."""

import re
import subprocess
import time
from pathlib import Path

import pytest
from found_programs import find_program

START_TIMEOUT_S = 120.0
_CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[http]
  bind-address = "127.0.0.1:0"
  auth-enabled = {auth}
  log-enabled = false
[monitor]
  store-enabled = false
"""


class InfluxServer:
    """One process, version 1. `url` is where it answers."""

    def __init__(self, folder: Path, *, auth: bool = False) -> None:
        self._log = folder / "influxd.log"
        config = folder / "influxd.conf"
        config.write_text(_CONFIG.format(folder=folder, auth=str(auth).lower()))
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [str(find_program("influxd")), "-config", str(config)],
                stdout=log,
                stderr=log,
                env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
            )
        self.url = f"http://127.0.0.1:{self._port()}"

    def _port(self) -> int:
        end = time.monotonic() + START_TIMEOUT_S
        while True:
            text = self._log.read_text(errors="replace")
            found = re.search(r'Listening on HTTP.* addr="?127\.0\.0\.1:(\d+)', text)
            if found:
                return int(found[1])
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                pytest.fail(f"influxd did not start:\n{text[-2000:]}", pytrace=False)
            time.sleep(0.02)

    def stop(self) -> None:
        """End it. Safe to call twice."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
