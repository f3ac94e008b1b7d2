"""The scripts of NiceGUI's own template carry the page's nonce; no other script runs in a page."""

from collections.abc import Callable
from typing import Any

from jinja2 import BaseLoader, Environment
from nicegui import client

_SHELL_SCRIPT = '<script defer src="/assets/shell.js"></script>'


class _WithNonces(BaseLoader):
    def __init__(self, files: BaseLoader) -> None:
        self._files = files

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """The template as NiceGUI wrote it, with a nonce in the tag of each of its scripts."""
        source, name, up_to_date = self._files.get_source(environment, template)
        source = source.replace("</body>", f"{_SHELL_SCRIPT}</body>")
        # Before values are put in: a `<script>` in one of these stays without.
        return source.replace("<script", '<script nonce="{{ request.state.nonce }}"'), name, up_to_date


def give_nonces() -> None:
    """Change NiceGUI's template, once."""
    environment: Any = client.templates.env
    if not isinstance(environment.loader, _WithNonces):
        environment.loader = _WithNonces(environment.loader)
