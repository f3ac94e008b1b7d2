"""Writing all reports of a 27 000-measure run with 304 losses, in a new process each time, imports included.

Bar: 0.3 s. The result is that of the tests; importing its model is not counted, since a run has it loaded.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BAR_S = 0.3
ROUNDS = 7
_CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import run_results
result = run_results.lost()
began = time.perf_counter()
from buoyfleet.report.write import write_reports
write_reports(result, Path(sys.argv[2]))
print(time.perf_counter() - began)
"""


def main() -> int:
    """Print the median; 1 if it is over the bar."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _CHILD, str(ROOT / "tests" / "report"), folder]
        times = [
            float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
            for _ in range(ROUNDS)
        ]
        size = (Path(folder) / "report.html").stat().st_size
    median = statistics.median(times)
    mark = "✓" if median <= BAR_S else "✗"
    print(
        f"{mark} all reports of 27,000 measures: {median * 1000:.0f} ms (bar {BAR_S * 1000:.0f} ms; ", end=""
    )
    print(f"{min(times) * 1000:.0f} to {max(times) * 1000:.0f} ms), report.html {size / 1000:.0f} kB")
    return 0 if median <= BAR_S else 1


if __name__ == "__main__":
    sys.exit(main())
