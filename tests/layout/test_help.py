"""Every command's help has an example of it."""

import typer

from buoyfleet.cli.commands import app


def commands(command, path):
    """(words, command) of every command that is no group."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command
    else:
        for name, one in inner.items():
            yield from commands(one, [*path, name])


def test_every_command_shows_how_it_is_typed():
    found = list(commands(typer.main.get_command(app), ["buoy"]))
    assert len(found) > 40
    without = []
    for words, command in found:
        text = command.get_help(command.make_context(words, [], resilient_parsing=True))
        if words not in text.split("\n", 1)[1]:
            without.append(words)
    assert without == []
