"""The page on which the token is typed: plain HTML without a script, shown before anything else is."""

from html import escape
from urllib.parse import quote

LOGIN = "/login"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in – buoyfleet</title><link rel="stylesheet" href="/assets/style.css">
</head>
<body class="signs-in">
<main class="card">
<h1>buoyfleet</h1>
<form method="post" action="{action}">
{problem}<label for="token">Token that <code>buoy web</code> printed</label>
<input id="token" name="token" type="password" autocomplete="current-password" autocapitalize="characters"
 spellcheck="false" required autofocus{described}>
<button class="primary" type="submit">Sign in</button>
</form>
</main>
</body>
</html>
"""


def login_page(wanted: str, problem: str = "") -> str:
    """The page.

    Args:
        wanted: path to open afterwards.
        problem: what was wrong with the last try.
    """
    shown = f'<p id="problem" class="bad" role="alert">✗ {escape(problem)}</p>\n' if problem else ""
    return _PAGE.format(
        action=escape(f"{LOGIN}?next={quote(wanted, safe='')}" if wanted else LOGIN),
        problem=shown,
        described=' aria-describedby="problem" aria-invalid="true"' if problem else "",
    )
