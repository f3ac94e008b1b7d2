"""Pages of docs/: each is in the site, its links lead somewhere, what it tells people to type is right."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from test_layout import LEVELS

from buoyfleet.cli.commands import root

MADE = {"commands.md"}
"""By tools/docs_site.py, when the site is built."""
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
TYPED = re.compile(r"^(?: {4}|\$ )?(buoy [a-z][^\n]*)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


class SiteLoader(yaml.SafeLoader):
    """Plain YAML: what mkdocs.yml has of tags is of no interest here."""


@pytest.fixture(scope="module")
def pages(project_root: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted((project_root / "docs").glob("*.md"))}


def in_nav(entries) -> list[str]:
    found = []
    for entry in entries:
        for one in entry.values() if isinstance(entry, dict) else [entry]:
            found += in_nav(one) if isinstance(one, list) else [one]
    return found


def anchors(text: str) -> set[str]:
    """As the site makes them of headings."""
    heads = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", head).strip().lower()) for head in heads}


def test_every_page_stands_in_the_site_once(pages, project_root):
    site = yaml.load((project_root / "mkdocs.yml").read_text(), SiteLoader)
    named = in_nav(site["nav"])
    assert len(named) == len(set(named))
    assert set(named) == {*pages, *MADE}
    assert site["strict"] is True


def test_every_link_of_a_page_leads_to_a_page_and_a_heading(pages, project_root):
    wrong = []
    for name, text in pages.items():
        for target in LINK.findall(FENCED.sub("", text)):
            page, _, anchor = target.partition("#")
            if page in MADE or target.startswith(("http://", "https://")):
                continue
            if (page and page not in pages) or (anchor and anchor not in anchors(pages[page or name])):
                wrong.append(f"{name}: {target}")
        wrong += [
            f"{name}: {file}"
            for file in PICTURE.findall(text)
            if not (project_root / "docs" / file).is_file()
        ]
    assert wrong == []


def options_of(command) -> set[str]:
    return {
        "--debug",
        "--help",
        *(
            option
            for one in command.params
            for option in (*one.opts, *one.secondary_opts)
            if option[0] == "-"
        ),
    }


def wrong_words(line: str, commands) -> str:
    """What is wrong with a command that a page tells people to type; empty if nothing is."""
    typed = re.split(r"\s{2,}", line)[0]  # behind it stands what it is for
    words = shlex.split(typed, comments=True)
    words = words[
        : next((at for at, word in enumerate(words) if word in ("|", ">", ">>", "&", "&&", ";")), None)
    ]
    if len(words) < 2 or words[1] not in commands:
        return "" if len(words) < 2 or words[1].startswith("-") else f"no command {words[1]}"
    command, rest = commands[words[1]], words[2:]
    if rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    given = [word.partition("=")[0] for word in rest if re.fullmatch(r"--?[a-z][\w-]*(=.*)?", word)]
    unknown = [option for option in given if option not in options_of(command)]
    return f"no option {', '.join(unknown)}" if unknown else ""


def test_every_command_that_a_page_tells_to_type_has_these_options(pages, project_root):
    commands = root().commands
    texts = {**pages, "README.md": (project_root / "README.md").read_text()}
    typed = [(name, line) for name, text in texts.items() for line in TYPED.findall(text)]
    assert len(typed) > 80
    assert [(name, line, why) for name, line in typed if (why := wrong_words(line, commands))] == []


def test_a_wrong_option_is_seen():
    commands = root().commands
    assert wrong_words("buoy run --cuont 20", commands) == "no option --cuont"
    assert wrong_words("buoy cloud enroll --dry-run   # a comment", commands) == ""
    assert wrong_words("buoy rnu", commands) == "no command rnu"


def test_the_picture_of_the_layers_has_every_part(project_root):
    text = (project_root / "docs" / "layers.svg").read_text()
    shown = set(re.findall(r'<text class="t"[^>]*>([\w/]+)</text>', text))
    assert shown == {*LEVELS, "firmware/buoy", "sensors"}
