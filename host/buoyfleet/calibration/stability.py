"""When a signal is stable: drift and noise within limits over a window, not before a least time.

The line through the samples of the window (least squares) gives the drift; their standard deviation about
that line is the noise. A probe that creeps or a solution that changes shows as drift; bubbles, a loose plug
or stray current as noise.
"""

from collections import deque
from dataclasses import dataclass

LEAST_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class StabilityRule:
    """Limits for one signal. `drift_per_min` and `noise` are in the raw unit, or in % of the signal."""

    window_s: float
    drift_per_min: float
    noise: float
    min_s: float
    max_s: float
    relative: bool = False
    floor: float = 0.0
    """With `relative`: a signal under this counts as this."""
    interval_s: float = 1.0
    """Between two samples, if the probe is that fast."""

    def text(self, unit: str) -> str:
        """The rule in words, as the certificate prints it."""
        if self.relative:
            unit = "%"
        return (
            f"drift within ±{self.drift_per_min:g} {unit}/min and noise within {self.noise:g} {unit} over "
            f"{self.window_s:g} s; at least {self.min_s:g} s, at most {self.max_s:g} s"
        )

    def short(self, unit: str) -> str:
        """The limits alone, for a line of a terminal."""
        unit = "%" if self.relative else unit
        return (
            f"drift ≤ {self.drift_per_min:g} {unit}/min, noise ≤ "
            f"{self.noise:g} {unit} over {self.window_s:g} s"
        )


@dataclass(frozen=True, slots=True)
class State:
    """What the samples of the window say now."""

    elapsed_s: float
    count: int
    mean: float
    noise: float
    drift_per_min: float
    stable: bool
    reason: str
    """Why it is not stable; empty if it is."""
    expired: bool
    """The longest time is over."""
    drifts: bool = False
    """The drift is over its limit."""
    noisy: bool = False
    """The noise is."""


class Stability:
    """Follows one signal."""

    def __init__(self, rule: StabilityRule) -> None:
        self.rule = rule
        self._window: deque[tuple[float, float]] = deque()

    def add(self, t_s: float, raw: float) -> State:
        """Take a sample, `t_s` seconds after the probe was put in."""
        rule = self.rule
        window = self._window
        window.append((t_s, raw))
        while len(window) > LEAST_SAMPLES and window[0][0] < t_s - rule.window_s:
            window.popleft()
        count = len(window)
        mean, drift, noise = trend(window)
        scale = max(abs(mean), rule.floor) / 100.0 if rule.relative else 1.0
        covered = t_s - window[0][0] >= 0.8 * rule.window_s
        reason = ""
        drifts = noisy = False
        if count < LEAST_SAMPLES or not covered:
            reason = f"{rule.window_s:g} s of samples are needed"
        else:
            drifts = abs(drift) > rule.drift_per_min * scale
            noisy = noise > rule.noise * scale
            found = ["drifts"] * drifts + ["is noisy"] * noisy
            reason = " and ".join(found) or (f"waits for {rule.min_s:g} s" if t_s < rule.min_s else "")
        return State(t_s, count, mean, noise, drift, not reason, reason, t_s >= rule.max_s, drifts, noisy)


def trend(samples: "deque[tuple[float, float]]") -> tuple[float, float, float]:
    """Mean, slope per minute and standard deviation about the line, of (s, signal)."""
    count = len(samples)
    mean_t = sum(t for t, _ in samples) / count
    mean = sum(y for _, y in samples) / count
    square = sum((t - mean_t) ** 2 for t, _ in samples)
    slope = sum((t - mean_t) * (y - mean) for t, y in samples) / square if square else 0.0
    if count < 3:
        return mean, 60.0 * slope, 0.0
    rest = sum((y - mean - slope * (t - mean_t)) ** 2 for t, y in samples)
    return mean, 60.0 * slope, float((rest / (count - 2)) ** 0.5)
