"""Programs out of the system's packages without root: downloaded by apt-get, unpacked into a folder.

The mirrors, keys and proxies are those that the system's apt already uses; signatures are checked by apt as
always. Nothing outside the given folders is written.
"""

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from buoyfleet.model.errors import PreflightError
from buoyfleet.programs.process import Finished, Say, run

QUICK_TIMEOUT_S = 300.0
"""For what needs no network: seconds, and minutes where the machine has other work."""
NETWORK_TIMEOUT_S = 300.0
# Where a keyring package puts the keys of its distribution; the first that exists is named for a newer suite.
KEYRINGS = {
    "debian": ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp"),
    "ubuntu": ("ubuntu-archive-keyring.gpg",),
}
# Of an unpacked package only what runs is kept.
NOT_NEEDED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "etc", "lib/systemd")


@dataclass(frozen=True, slots=True)
class Suite:
    """A newer suite of a distribution, and the component that holds the package."""

    name: str
    component: str


@dataclass(frozen=True, slots=True)
class Client:
    """apt-get with its own folders in place of the system's."""

    options: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)

    def update(self) -> None:
        """Download the package lists.

        Raises:
            PreflightError: no list could be read.
        """
        done = self._run(["apt-get", "update", "-qq"], NETWORK_TIMEOUT_S)
        if done.code != 0:
            raise PreflightError(f"apt-get update failed:\n{done.tail()}")

    def closure(self, packages: list[str]) -> list[str]:
        """The packages and all they need that is not installed, as apt-get download takes them.

        Raises:
            PreflightError: a package is not to be had.
        """
        done = self._run(
            ["apt-get", "install", "--simulate", "--no-install-recommends", *packages], QUICK_TIMEOUT_S
        )
        if done.code != 0:
            raise PreflightError(f"the system's packages have no {' or '.join(packages)}:\n{done.tail(4)}")
        found = parse_simulation(done.output)
        names = {spec.split(":")[0].split("=")[0] for spec in found}
        return [*found, *(name for name in packages if name not in names)]

    def download(self, specs: list[str], folder: Path) -> list[Path]:
        """Download .deb files into `folder`.

        Raises:
            PreflightError: one could not be downloaded.
        """
        done = self._run(["apt-get", "download", "-qq", *specs], NETWORK_TIMEOUT_S, folder)
        files = sorted(folder.glob("*.deb"))
        if done.code != 0 or len(files) < len(specs):
            raise PreflightError(f"apt-get download failed:\n{done.tail()}")
        return files

    def has_lists(self) -> bool:
        """Whether any package list was ever downloaded (fresh containers have none)."""
        done = self._run(
            ["apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages"], QUICK_TIMEOUT_S
        )
        return any(Path(line).exists() for line in done.output.splitlines())

    def mirror(self, codename: str) -> str:
        """The address that the system's own suite comes from; empty if there is none."""
        done = self._run(
            [
                "apt-get",
                "indextargets",
                "--format",
                "$(CODENAME) $(RELEASE) $(REPO_URI)",
                "Created-By: Packages",
            ],
            QUICK_TIMEOUT_S,
        )
        for line in done.output.splitlines():
            code, release, uri = [*line.split(), "", "", ""][:3]
            if codename in (code, release) or release in ("stable", "oldstable"):
                return uri
        return ""

    def _run(self, words: list[str], timeout_s: float, cwd: Path | None = None) -> Finished:
        command, *rest = words
        env = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", **self.env}
        return run([command, *self.options, *rest], timeout_s=timeout_s, cwd=cwd, env=env)


def parse_simulation(output: str) -> list[str]:
    """The packages that `apt-get install --simulate` would install, as `name:arch=version`."""
    found = []
    pattern = r"^Inst (?P<name>[^\s:]+)(?::\S+)? (?:\[[^\]]*\] )?\((?P<version>\S+) .*?\[(?P<arch>\w[\w-]*)\]"
    for match in re.finditer(pattern, output, re.MULTILINE):
        arch = "" if match["arch"] == "all" else f":{match['arch']}"
        found.append(f"{match['name']}{arch}={match['version']}")
    return found


def available() -> bool:
    """Whether this system has apt and dpkg."""
    return all(shutil.which(name) for name in ("apt-get", "dpkg-deb", "dpkg"))


def system() -> tuple[str, str]:
    """Distribution and code name as /etc/os-release gives them, e.g. `debian`, `bookworm`."""
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return "", ""
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    name = pairs.get("ID", "").strip('"')
    family = (
        name
        if name in KEYRINGS
        else next((n for n in pairs.get("ID_LIKE", "").split() if n in KEYRINGS), name)
    )
    return family, pairs.get("VERSION_CODENAME", "").strip('"')


def fetch(packages: list[str], target: Path, work: Path, say: Say) -> None:
    """Unpack packages and the libraries that this system lacks into `target`, for use with the system's libc.

    `work` is emptied and used for what is half done; `target` appears complete or not at all.

    Raises:
        PreflightError: apt is missing or does not have them.
    """
    _need_apt(packages)
    _empty(work)
    client = Client(_kept_caches(work))
    try:
        if client.has_lists():
            specs = client.closure(packages)
            try:
                _unpack(client, specs, work, say)
            except PreflightError:  # old lists name files that the mirror no longer has
                client = _private_lists(work, say)
                _unpack(client, client.closure(packages), work, say)
        else:
            client = _private_lists(work, say)
            _unpack(client, client.closure(packages), work, say)
        _publish(work / "root", target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def fetch_with_libc(
    packages: list[str],
    suites: dict[str, Suite],
    target: Path,
    work: Path,
    say: Say,
    architecture: str = "",
) -> None:
    """Unpack packages of a newer suite with all they need, libc included: to be run by that loader.

    `architecture` is this machine's unless given, as dpkg calls it.

    Raises:
        PreflightError: this distribution has no such suite, or it could not be read.
    """
    _need_apt(packages)
    family, codename = system()
    if family not in suites:
        raise PreflightError(f"no newer suite is known for {family or 'this system'}")
    suite = suites[family]
    _empty(work)
    try:
        mirror = Client(_kept_caches(work)).mirror(codename)
        if not mirror:
            raise PreflightError("apt knows no mirror of this system's own suite")
        say(f"  reading the package lists of {family} {suite.name}")
        client = _foreign(work, family, suite, mirror, architecture or _own_architecture())
        client.update()
        _unpack(client, client.closure(packages), work, say)
        _publish(work / "root", target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _need_apt(packages: list[str]) -> None:
    if not available():
        raise PreflightError(f"this system has no apt-get to fetch {' and '.join(packages)} with")


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _private_lists(work: Path, say: Say) -> Client:
    """Fresh lists in a folder of ours: those of the system may be missing (container images) or old."""
    say("  reading the system's package lists")
    state = work / "lists"
    (state / "partial").mkdir(parents=True, exist_ok=True)
    (work / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    client = Client(
        (
            *("-o", f"Dir::State::Lists={state}"),
            *("-o", f"Dir::Cache={work / 'cache'}"),
            *_kept_caches(state),
            *("-o", "Acquire::Languages=none"),
            *_sandbox(),
        )
    )
    client.update()
    return client


def _own_architecture() -> str:
    return run(["dpkg", "--print-architecture"], timeout_s=QUICK_TIMEOUT_S).output.strip()


def _foreign(work: Path, family: str, suite: Suite, mirror: str, architecture: str) -> Client:
    """A client that sees one newer suite and nothing installed."""
    base = work / "suite"
    for name in ("lists/partial", "cache/archives/partial", "preferences.d"):
        (base / name).mkdir(parents=True, exist_ok=True)
    keyring = next((p for n in KEYRINGS[family] if (p := Path("/usr/share/keyrings") / n).exists()), None)
    signed = f" signed-by={keyring}" if keyring else ""
    line = f"deb [arch={architecture}{signed}] {mirror} {suite.name} {suite.component}\n"
    (base / "sources.list").write_text(line)
    (base / "status").touch()
    return Client(
        (
            *("-o", f"Dir::Etc::sourcelist={base / 'sources.list'}"),
            *("-o", "Dir::Etc::sourceparts=/dev/null"),
            *("-o", f"Dir::Etc::preferencesparts={base / 'preferences.d'}"),
            *("-o", "Dir::Etc::preferences=/dev/null"),
            *("-o", f"Dir::State={base}"),
            *("-o", f"Dir::State::Lists={base / 'lists'}"),
            *("-o", f"Dir::State::status={base / 'status'}"),
            *("-o", f"Dir::Cache={base / 'cache'}"),
            *_kept_caches(base),
            *("-o", f"APT::Architecture={architecture}"),
            *("-o", f"APT::Architectures={architecture}"),
            *("-o", "Acquire::Languages=none"),
            *_sandbox(),
        )
    )


def _kept_caches(folder: Path) -> tuple[str, ...]:
    """Keeps what apt makes of its lists in `folder`: in container images each call makes it anew."""
    names = ("pkgcache", "srcpkgcache")
    return tuple(word for name in names for word in ("-o", f"Dir::Cache::{name}={folder / name}.bin"))


def _sandbox() -> tuple[str, ...]:
    """As root apt downloads as user _apt, who may not enter our folders."""
    return ("-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ()


def _unpack(client: Client, specs: list[str], work: Path, say: Say) -> None:
    downloads, root = work / "debs", work / "root"
    for folder in (downloads, root):
        _empty(folder)
    say(f"  downloading {len(specs)} packages")
    files = client.download(specs, downloads)
    size = sum(file.stat().st_size for file in files)
    say(f"  unpacking {size / 1e6:.1f} MB")
    for file in files:
        done = run(["dpkg-deb", "-x", file, root], timeout_s=QUICK_TIMEOUT_S)
        if done.code != 0:
            raise PreflightError(f"{file.name} could not be unpacked (disk full?):\n{done.tail()}")
    for name in NOT_NEEDED:
        shutil.rmtree(root / name, ignore_errors=True)


def _publish(root: Path, target: Path) -> None:
    """Put the finished folder in place of an older one."""
    old = target.with_name(f".old-{target.name}")
    shutil.rmtree(old, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(old)
    root.rename(target)
    shutil.rmtree(old, ignore_errors=True)
