"""`buoy console` with one command."""

import io

import pytest
import typer
from typer.testing import CliRunner

from buoyfleet.cli import board_console
from buoyfleet.model.errors import UsageError

app = typer.Typer()
app.command()(board_console.console)


@pytest.mark.parametrize("word", ["help", "?"])
def test_help_asks_no_board(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["131", word])
    assert done.exit_code == 0
    assert "NAME=VALUE" in done.output


class Asked:
    """A console that notes what is asked."""

    def request(self, _do, _timeout_s, **fields):
        self.fields = fields
        return {"wifi": "set"}


def test_a_wifi_password_can_be_piped_in(monkeypatch, capfd):
    asked = Asked()
    monkeypatch.setattr("sys.stdin", io.StringIO("whisper word\n"))
    assert "set" in board_console._ask(asked, "wifi sea")
    assert asked.fields == {"ssid": "sea", "password": "whisper word"}
    assert "whisper" not in capfd.readouterr().out
    with pytest.raises(UsageError, match="no password"):
        board_console._ask(asked, "wifi sea")
