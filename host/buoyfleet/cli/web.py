"""`buoy web`: the same use cases in a browser."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from buoyfleet.cli.options import BENCH, FLEET, FleetFile, Folder, Ports

EPILOG = """Examples:

  buoy web --open                     on this computer only

  buoy web --listen 0.0.0.0           for tablets on the same network; prints a token to type there

The connection is not encrypted: use --listen on a network that you trust, or `ssh -L 8080:localhost:8080`.
"""


def web(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 8080,
    listen: Annotated[
        str,
        typer.Option(
            "--listen", metavar="ADDRESS", help="Of this computer; other than loopback wants a token."
        ),
    ] = "127.0.0.1",
    opens: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    token: Annotated[bool, typer.Option("--token", help="Ask for a token on loopback, too.")] = False,
    runs: Annotated[Path, typer.Option("--runs", help="The folder that holds the runs.")] = Path("runs"),
    fleet: FleetFile = FLEET,
    folder: Folder = BENCH,
    ports: Ports = None,
) -> None:
    """Show runs, a running fleet and the bench in a browser, until Ctrl-C.

    A run that was started in the browser goes on when the page is closed or this server ends. Commissioning
    goes on when the page is closed; the server ends only when its boards are done.
    """
    from buoyfleet.web.server import OWN_TOKEN, WebOptions, open_server, require_installed, serve
    from buoyfleet.web.site import Site

    require_installed()
    options = WebOptions(Site(runs, fleet, folder, tuple(ports or ())), listen, port, token)
    opened = open_server(options)
    lines = [f"buoyfleet in a browser: {opened.address}", "Ctrl-C ends the server; runs go on."]
    if opened.token:
        lines.insert(1, f"token: {opened.token}   (another one at each start; {OWN_TOKEN} sets it)")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()

    def ready() -> None:
        if opens:
            import webbrowser

            webbrowser.open(opened.address)

    serve(opened, options, ready)
