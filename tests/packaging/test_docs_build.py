"""The documentation as a site: it is built without a complaint, and takes nothing from elsewhere."""

import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.soak
FROM_ELSEWHERE = re.compile(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?https?://[^\" >]+")


def test_the_site_is_built_strictly_and_needs_no_network(project_root, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"],
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = {file.name: file.read_text() for file in (tmp_path / "site").glob("*.html")}
    assert len(made) > 20
    assert {
        name: FROM_ELSEWHERE.findall(text) for name, text in made.items() if FROM_ELSEWHERE.search(text)
    } == {}
    commands = made["commands.html"]
    for words in ("buoy run", "buoy cloud enroll", "buoy files put"):
        assert f"<code>{words}</code>" in commands
    assert '<img alt="Layers" src="layers.svg"' in made["architecture.html"]
