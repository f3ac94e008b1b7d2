"""A session with whoever follows it: at a terminal, or by a plan. What `buoy calibrate` does once a
board is open.
"""

import sys

from rich.console import Console as Screen
from rich.text import Text

from buoyfleet.calibration.board import Clock, Console
from buoyfleet.calibration.config import BenchConfig, Plan
from buoyfleet.calibration.dialogue import Dialogue, Tone
from buoyfleet.calibration.planned import PlannedDialogue
from buoyfleet.calibration.session import Done, Session, Wish, exit_code
from buoyfleet.calibration.terminal import STYLES, Interrupts, TerminalDialogue


def guided(
    console: Console,
    clock: Clock,
    config: BenchConfig,
    wish: Wish,
    answers: dict[str, float],
    yes: bool,
    quiet: bool = False,
) -> tuple[list[Done], int]:
    """Run a session; gives how each sensor ended and the exit code.

    Args:
        console: of the board.
        clock: of the bench.
        config: of the bench.
        wish: what to do.
        answers: to questions, known beforehand.
        yes: follow the plan instead of asking.
        quiet: say everything on standard error.
    """
    screen = Screen(highlight=False, soft_wrap=True, stderr=quiet, file=None if quiet else sys.stdout)

    def say(text: str, tone: Tone) -> None:
        screen.print(Text(text, STYLES[tone]))

    with Interrupts() as interrupts:

        def dialogue(board: str, key: str) -> Dialogue:
            if yes:
                plan = config.plan or Plan(attempts=2)
                return PlannedDialogue(plan, key, board, clock, say, lambda: interrupts.stopped, answers)
            return TerminalDialogue(interrupts, screen, answers=answers)

        done = Session(console, config, clock, dialogue, say).run(wish)
    return done, int(exit_code(done))
