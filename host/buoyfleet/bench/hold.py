"""Taking a board out of service for a while, and giving it back."""

from buoyfleet.bench.session import Session
from buoyfleet.bench.survey import set_maintenance
from buoyfleet.boards.program_file import SWITCH
from buoyfleet.model.errors import BoardError, BuoyError
from buoyfleet.serial.board_files import remove_files

MAINTENANCE_S = 3600


class Hold:
    """A board whose application does not run, so that neither watchdog nor sleep comes in the way.

    `take` and `release` may be called again whatever happened in between.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.taken = False
        """In maintenance by us."""

    def take(self, *, remove_foreign: bool = False) -> None:
        """Bring the board into maintenance; its REPL is safe to use afterwards.

        Args:
            remove_foreign: a program that is no firmware of ours is removed. It may have started a watchdog,
                which only a reset without it ends.

        Raises:
            BoardError: it does not go there.
        """
        session = self._session
        found = session.look()
        if found.state == "firmware":
            self.taken = True
            if found.maintenance:
                return
            console = session.console()
            console.request("maintenance", tries=3, seconds=MAINTENANCE_S)
            if not console.restart(session.patience.boot_s, soft=False).get("maintenance"):
                raise BoardError("did not go into maintenance", where=session.port)
            return
        repl = session.repl()
        names = repl.run("import os\nprint(os.listdir())")
        if "'main.py'" not in names:
            return
        if "'buoy'" in names or f"'{SWITCH}'" in names:
            self.taken = True
            set_maintenance(repl, MAINTENANCE_S)
        elif remove_foreign:
            remove_files(repl, ["main.py"])
        else:
            return
        repl.hard_reset()
        repl.enter(session.patience.prompt_s)

    def release(self) -> str:
        """Give the board back to its service, as far as it can be reached; what is wrong if it cannot."""
        if not self.taken:
            return ""
        try:
            self.restart()
        except BuoyError as error:
            text = f"the application was not started again: {error.what}; press EN, or wait {MAINTENANCE_S} s"
            self._session.log.line(f"# {text}")
            return text
        return ""

    def restart(self) -> None:
        """End the maintenance and start the board.

        Raises:
            BoardError: it does not answer.
        """
        session = self._session
        found = session.look()
        if found.state == "firmware":
            console = session.console()
            console.request("maintenance", tries=3, seconds=0)
            console.restart(session.patience.boot_s, soft=False)
        else:
            repl = session.repl()
            set_maintenance(repl, 0)
            repl.hard_reset()
        self.taken = False
