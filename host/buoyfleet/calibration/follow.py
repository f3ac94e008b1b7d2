"""Follows one signal until it is stable, its time is over, or the operator wants otherwise."""

from collections.abc import Callable

from buoyfleet.calibration.board import Clock
from buoyfleet.calibration.dialogue import Answer, Dialogue, View
from buoyfleet.calibration.model import Plateau, Sample, Step
from buoyfleet.calibration.procedure import NoSignal
from buoyfleet.calibration.stability import Stability, State

MISSES = 3
"""So many looks in a row without a signal, and the probe is gone."""


def follow(
    step: Step,
    attempt: int,
    look: Callable[[float, float], Sample],
    clock: Clock,
    dialogue: Dialogue,
    keep: Callable[[Sample], None],
    unit: str,
    *,
    force: bool,
    by_key: bool = False,
) -> tuple[list[Sample], State, Answer]:
    """Look until the step's rule holds or its longest time is over.

    Args:
        step: with its rule.
        attempt: of this step, from 1.
        look: takes a sample; arguments are seconds since the beginning, and the clock's.
        clock: of the bench.
        dialogue: sees every sample, and may end it.
        keep: takes every sample, for the record.
        unit: of the signal.
        force: the operator may take a signal that is not stable.
        by_key: a stable signal waits for the operator.

    Raises:
        NoSignal: `MISSES` looks in a row found none.
        BoardError: the board does not answer.
    """
    stability = Stability(step.rule)
    samples: list[Sample] = []
    begin_s = clock.now_s()
    misses = 0
    while True:
        now_s = clock.now_s()
        try:
            sample = look(now_s - begin_s, now_s)
            misses = 0
        except NoSignal:
            misses += 1
            if misses == MISSES:
                raise
            clock.wait(step.rule.interval_s)
            continue
        samples.append(sample)
        keep(sample)
        state = stability.add(sample.t_s, sample.raw)
        answer = dialogue.watch(View(step, attempt, unit, samples, state, force, by_key))
        if answer is not None and answer.action == "go" and not (state.stable or force):
            dialogue.tell(
                f"  not stable yet: it {state.reason}; --force would take it all the same", "warning"
            )
            answer = None
        if answer is not None:
            return samples, state, answer
        if (state.stable and not by_key) or (state.expired and not state.stable):
            return samples, state, Answer("go")
        clock.wait(max(0.0, now_s + step.rule.interval_s - clock.now_s()))


def plateau_of(samples: list[Sample], state: State, window_s: float) -> Plateau:
    """Statistics of the last `window_s` seconds."""
    window = [sample for sample in samples if sample.t_s >= samples[-1].t_s - window_s]
    celsius = [sample.temperature_c for sample in window if sample.temperature_c is not None]
    values = [sample.value for sample in window if sample.value is not None]
    return Plateau(
        raw=state.mean,
        noise=state.noise,
        drift_per_min=state.drift_per_min,
        count=state.count,
        elapsed_s=state.elapsed_s,
        temperature_c=sum(celsius) / len(celsius) if celsius else None,
        value=sum(values) / len(values) if values else None,
        stable=state.stable,
        reason=state.reason,
    )
