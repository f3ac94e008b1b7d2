"""The commands of `buoy`, grouped by job: where each is, and the line that the help shows of it.

Only what is typed is loaded: `buoy --help` prints this table, and a command imports its own module.
"""

PROGRAM = "buoy"
ABOUT = "Flash, load-test, verify and calibrate ESP32 water-quality buoys."
JOBS: dict[str, dict[str, tuple[str, str]]] = {
    "Run a fleet, and prove that its data arrived": {
        "init": ("init:init", "Write a commented fleet file with the boards that are plugged in."),
        "check": ("check:check", "Check a fleet file and this computer; sends nothing."),
        "run": ("run:run", "Run a fleet and verify that every measure arrived."),
        "verify": ("verify:verify", "Read the stores of a run again and verify it again."),
        "fetch": ("fetch:fetch", "Read what boards kept on flash, then verify the run again."),
        "report": ("report:report", "Make the reports of a run again."),
        "runs": ("runs:runs", "List runs with their verdicts and metrics."),
        "tag": ("runs:tag", "Give a run tags; `baseline` is what later ones are compared with."),
        "compare": ("compare:compare", "Compare runs; fail where one got worse."),
        "twin": ("twin:app", "Run the local twin of the AWS pipeline, or look at one."),
    },
    "Bench: boards on cables": {
        "ports": ("ports:ports", "List the boards that are plugged in."),
        "commission": ("commission:commission", "Make boards into buoys in service, step by step."),
        "flash": ("commission:flash", "Write MicroPython onto boards."),
        "id": ("one_board:identity", "Show or set the id of a board."),
        "settings": ("one_board:settings_app", "Read and change the settings of a board."),
        "console": ("board_console:console", "Talk to a board: commands, log, MicroPython prompt."),
        "monitor": ("monitor:monitor", "Show what boards say, with time and board."),
        "files": ("one_board:files_app", "List, fetch, put and remove files on a board."),
        "wipe": ("one_board:wipe", "Take a board out of service."),
        "records": ("records:records", "List, filter and export what was done to which board."),
        "label": ("label:label", "Draw labels with id and MAC as QR code or Code 128."),
    },
    "Calibrate": {
        "calibrate": ("calibrate:calibrate", "Calibrate sensors of a board, guided step by step."),
        "calibration": ("calibration:app", "Calibrations: status, certificate, drift, export, undo."),
        "visit": ("visit:visit", "Visit a buoy in service: fouling, drift, rating, correction."),
        "sensors": ("sensors:sensors", "List the nine sensors: part, pins, unit, range."),
    },
    "Cloud: a pipeline in your AWS account": {
        "cloud": ("cloud:app", "Enroll boards, see what a run would cost, undo it all."),
    },
    "In a browser": {
        "web": ("web:web", "Show runs, a running fleet and the bench in a browser."),
    },
    "Without hardware": {
        "simulate": ("simulate:simulate", "Simulate ESP32 boards on serial ports."),
        "hand": ("hand:app", "Move probes, cause faults, pull cables of simulated boards."),
        "water": ("water:water", "Simulate the water, and what the sensors make of it."),
    },
    "This computer": {
        "setup": ("setup:setup", "Fetch the programs that simulated boards need."),
        "doctor": ("doctor:doctor", "Show which programs are there and work."),
        "docs": ("docs:docs", "Read the documentation."),
        "schema": ("schema:schema", "Print the JSON schema of fleet files, for editors."),
    },
}
COMMANDS = {name: entry for commands in JOBS.values() for name, entry in commands.items()}
OPTIONS = (
    ("--version", "Print the version."),
    ("--debug", "Show a traceback in place of a message; before or after any command."),
    ("--install-completion", "Install completion for the current shell."),
    ("--show-completion", "Print the completion script, to read or to copy it."),
    ("-h, --help", "Show this message; `buoy COMMAND --help` shows a command with examples."),
)


def help_text() -> str:
    """What `buoy --help` prints."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"Usage: {PROGRAM} [OPTIONS] COMMAND [ARGS]...", "", f"  {ABOUT}"]
    for job, commands in JOBS.items():
        lines += ["", f"{job}:", *(f"  {name:<{width}}{line}" for name, (_, line) in commands.items())]
    width = max(len(option) for option, _ in OPTIONS) + 2
    lines += ["", "Options:", *(f"  {option:<{width}}{line}" for option, line in OPTIONS)]
    return "\n".join(lines)
