"""The tree keeps to its own rules: who imports whom, file sizes, one table of exit codes, nothing secret."""

import re
import subprocess
from pathlib import Path

import pytest
from layers import Import, circles, imports_of, module_name, our_files

from buoyfleet.model.exit_codes import MEANINGS

# Inside buoyfleet, upwards only: a part may import parts of a lower level.
LEVELS = {
    "model": 0,
    "programs": 1,
    **dict.fromkeys(("inventory", "serial", "mqtt", "simulation"), 2),
    **dict.fromkeys(("boards", "cloud"), 3),
    **dict.fromkeys(("bench", "verify", "calibration", "report"), 4),
    "runs": 5,
    "visits": 5,
    "cli": 6,
    "web": 6,
    "testing": 6,
}
# Siblings that may know each other: importer, imported → the reason.
SIBLINGS: dict[tuple[str, str], str] = {
    ("calibration", "report"): "a certificate is a report: figures in words, files written whole",
    ("cli", "web"): "`buoy web` starts the server",
}
MAX_LINES = 400


def part(module: str) -> str:
    """`buoyfleet.runs.engine` → `fleet`."""
    return [*module.split("."), ""][1]


@pytest.fixture(scope="module")
def imports(project_root: Path) -> list[Import]:
    return [found for file in our_files(project_root) for found in imports_of(file, project_root)]


@pytest.fixture(scope="module")
def tree(project_root: Path) -> list[Path]:
    """Every text file that belongs to the project: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=project_root,
        capture_output=True,
        check=True,
        timeout=100,
    )
    files = [project_root / name for name in listed.stdout.decode().split("\0") if name]
    return [file for file in files if file.is_file() and b"\0" not in file.read_bytes()[:4096]]


def test_every_part_of_buoyfleet_has_a_level(project_root):
    parts = {folder.parent.name for folder in (project_root / "host" / "buoyfleet").glob("*/*.py")}
    assert parts <= set(LEVELS), "a new part needs a level here and in the design"


def test_buoyfleet_imports_upwards_only(imports):
    wrong = []
    for found in imports:
        if not (found.importer.startswith("buoyfleet.") and found.imported.startswith("buoyfleet.")):
            continue
        importer, imported = part(found.importer), part(found.imported)
        if importer == imported or (importer, imported) in SIBLINGS:
            continue
        if LEVELS[imported] >= LEVELS[importer]:
            wrong.append(f"{found.importer}:{found.line} imports {found.imported}")
    assert wrong == []


def test_every_exception_for_siblings_is_still_used(imports):
    pairs = {(part(found.importer), part(found.imported)) for found in imports}
    assert [pair for pair in SIBLINGS if pair not in pairs] == []


def test_the_plugin_of_pytest_loads_nothing_before_a_test_asks_for_it(imports):
    found = [one for one in imports if one.importer == "pytest_buoyfleet"]
    assert {part(one.imported) for one in found} <= {"testing", "simulation"}
    assert not any(one.at_load for one in found)


def test_sensors_import_nothing_of_ours(imports):
    wrong = [
        found
        for found in imports
        if found.importer.split(".")[0] == "sensors" and found.imported.split(".")[0] != "sensors"
    ]
    assert wrong == []


def test_firmware_imports_only_sensors_and_itself(imports):
    wrong = [
        found
        for found in imports
        if found.importer.split(".")[0] not in ("buoyfleet", "pytest_buoyfleet", "sensors")
        and found.imported.split(".")[0] not in ("buoy", "sensors")
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle_not_even_late_or_for_types(imports, project_root):
    modules = {module_name(file, project_root) for file in our_files(project_root)}
    edges: dict[str, set[str]] = {}
    for found in imports:
        target = found.imported
        while target and target not in modules:
            target = target.rpartition(".")[0]
        if target and target != found.importer:
            edges.setdefault(found.importer, set()).add(target)
    assert circles(edges) == []


def test_files_fit_in_the_head(project_root):
    sizes = {
        str(f.relative_to(project_root)): len(f.read_text().splitlines()) for f in our_files(project_root)
    }
    assert {name: lines for name, lines in sizes.items() if lines >= MAX_LINES} == {}


def test_the_readme_lists_the_exit_codes_as_they_are(project_root):
    text = (project_root / "README.md").read_text()
    rows = re.findall(r"^\|\s*`?(\d+)`?\s*\|\s*(.+?)\s*\|\s*$", text, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == {int(c): text for c, text in MEANINGS.items()}


# Put together from halves, so that this file does not contain what it looks for.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("ports", "ubuntu", "com"),
        ("crates", "io"),
        ("micropython", "org/download"),
    )
)
DOWNLOAD_ADDRESS = re.compile(
    r"--(extra-)?index-url|^ *deb (\[[^]]*\] )?https?:|registry *= *.?https?:|find-links *= *.?https?:|"
    r'"resolved": *"https?:|(pip install|==|@) *https?://',
    re.MULTILINE,
)


def test_no_file_names_an_address_that_packages_come_from(tree, project_root):
    this = Path(__file__).resolve()
    found = []
    for file in tree:
        text = file.read_text(errors="replace")
        if file.resolve() != this and (
            DOWNLOAD_ADDRESS.search(text) or any(host in text for host in REGISTRY_HOSTS)
        ):
            found.append(str(file.relative_to(project_root)))
    assert found == []


def test_constraints_are_names_and_versions_only(project_root):
    lines = (project_root / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin)] == []
    assert len(pins) == len({re.sub(r"[._-]+", "-", pin.split("==")[0]).lower() for pin in pins})


SECRETS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}"),
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)(?![0-9A-Z]*EXAMPLE)[0-9A-Z]{16}\b"),
    "an AWS secret key": re.compile(r"aws_secret_access_key\s*[=:]\s*[\"']?[A-Za-z0-9/+]{40}", re.IGNORECASE),
}
WRITTEN_PASSWORD = re.compile(
    r"(?:password|passphrase|secret|token)\s*[:=]\s*[\"']?[^\s\"'$#]{6,}", re.IGNORECASE
)


def test_no_file_holds_a_secret(tree, project_root):
    found = []
    for file in tree:
        text = file.read_text(errors="replace")
        found += [
            f"{file.relative_to(project_root)}: {what}" for what, look in SECRETS.items() if look.search(text)
        ]
        if file.suffix in (".yaml", ".yml", ".toml", ".env", ".ini", ".cfg") and WRITTEN_PASSWORD.search(
            text
        ):
            found.append(f"{file.relative_to(project_root)}: a password; write ${{env:NAME}}")
        if file.suffix in (".key", ".p12", ".pfx") or file.name == "secrets.yaml":
            found.append(f"{file.relative_to(project_root)}: a file for secrets")
    assert found == []


def test_syntax_trees_are_worked_on_by_one_thread_at_a_time(project_root):
    loose = []
    for file in (project_root / "host").rglob("*.py"):
        text = file.read_text()
        # `shrink` is called by firmware_files, which holds the lock.
        if re.search(r"^\s*import ast$", text, re.MULTILINE) and file.parent.name != "shrink":
            loose += [] if "with SYNTAX_TREES:" in text else [file.name]
    assert loose == []
