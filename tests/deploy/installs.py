"""Wheels of the distributions, and environments that hold some of them and what they require, without a network.

An environment gets the wheels by pip. What they require is lent: each file or folder of those distributions is a link
to the one that this test run has. So an environment holds what the metadata ask for and nothing else.
"""

import fcntl
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, cast

import pytest
from packaging.requirements import Requirement

__all__ = [
    "CODE",
    "LEFT_OUT",
    "PACKAGES",
    "ROOT",
    "Environment",
    "built",
    "clean_environment",
    "metadata_of",
    "run",
    "wheel_of",
]

ROOT = Path(__file__).parents[2]
PACKAGES: Mapping[str, Path] = {
    "cqox": ROOT,
    "cqox-analysis": ROOT / "packages" / "cqox-analysis",
    "cqox-assets": ROOT / "packages" / "cqox-assets",
    "cqox-services": ROOT / "packages" / "cqox-services",
}
"""Distribution to the folder of its `pyproject.toml`."""


def _hatch(name: str) -> dict[str, Any]:
    settings = tomllib.loads((PACKAGES[name] / "pyproject.toml").read_text(encoding="utf-8"))
    return cast("dict[str, Any]", settings["tool"]["hatch"]["build"])


LEFT_OUT: Mapping[str, list[str]] = {"cqox": _hatch("cqox")["exclude"]}
"""Distribution to the folders of its package that it leaves to another one."""
CODE: Mapping[str, list[str]] = {
    name: build["targets"]["wheel"].get("packages") or build["targets"]["wheel"]["only-include"]
    for name, build in ((name, _hatch(name)) for name in PACKAGES)
}
"""Distribution to the folders that its wheel holds."""


def run(*command: str | Path, cwd: Path) -> str:
    """Return what a command prints; fail if it does."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, env=clean_environment(), check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment variables without those that lead to the tree or configure a service."""
    foreign = ("PYTHON", "CQOX", "OTEL", "VIRTUAL")
    return {key: value for key, value in os.environ.items() if not key.startswith(foreign)} | {"PYTHONUTF8": "1"} | more


def built(factory: pytest.TempPathFactory) -> Path:
    """Return a folder with source distribution and wheel of each, built once for all processes of a test run.

    Each wheel is built from its source distribution, which thus holds all that it takes.
    """
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder = shared / "distributions"
    with (shared / "distributions.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", folder)
            with ThreadPoolExecutor() as threads:
                list(threads.map(lambda package: run(*build, package, cwd=shared), PACKAGES.values()))
            (folder / "complete").touch()
    return folder


def wheel_of(folder: Path, name: str) -> Path:
    """Return the wheel of a distribution."""
    [wheel] = folder.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
    return wheel


def metadata_of(folder: Path, name: str) -> Message:
    """Return the metadata in the wheel of a distribution."""
    with zipfile.ZipFile(wheel_of(folder, name)) as archive:
        [member] = (member for member in archive.namelist() if member.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(member).decode())


class Environment:
    """A virtual environment in a folder that lies outside the tree.

    Args:
        folder: where it is created, and the working directory of what it runs.
        wheels: the folder of the wheels.
    """

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder
        self._wheels = wheels
        run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
        self.bin = folder / "env" / "bin"
        place = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.libraries = Path(run(self.bin / "python", "-c", place, cwd=folder).strip())

    def install(self, *arguments: str | Path) -> None:
        """Install by pip, without dependencies and without a network."""
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", self.bin / "python"]
        run(*pip, "install", "--no-deps", "--no-index", "--no-build-isolation", *arguments, cwd=self.folder)

    def install_wheels(self, requirement: str) -> None:
        """Install all that a requirement of one of ours leads to: our wheels, and loans of the rest."""
        wanted = self.lend_requirements(requirement)
        self.install(*(wheel_of(self._wheels, name) for name in sorted(wanted & PACKAGES.keys())))

    def lend_requirements(self, requirement: str) -> set[str]:
        """Lend all that a requirement of one of ours leads to, but for ours; return the names of all."""
        wanted = set(self._closure([Requirement(requirement)], seen=set()))
        for name in sorted(wanted - PACKAGES.keys()):
            self.lend(name)
        return wanted

    def python(self, program: str) -> str:
        """Return what a program prints; fail if it does."""
        return run(self.bin / "python", "-W", "error", "-c", program, cwd=self.folder)

    def _closure(self, requirements: Iterable[Requirement], seen: set[tuple[str, str]]) -> Iterator[str]:
        """Yield the names of all distributions that the requirements lead to."""
        for requirement in requirements:
            for extra in ("", *requirement.extras):
                if (requirement.name, extra) in seen:
                    continue
                seen.add((requirement.name, extra))
                yield requirement.name
                further = (Requirement(line) for line in self._required_by(requirement.name))
                yield from self._closure(
                    (each for each in further if each.marker is None or each.marker.evaluate({"extra": extra})), seen
                )

    def _required_by(self, name: str) -> list[str]:
        if name in PACKAGES:
            return metadata_of(self._wheels, name).get_all("Requires-Dist", [])
        return distribution(name).requires or []

    def lend(self, name: str) -> None:
        """Link the files of a distribution of this test run."""
        site = Path(sysconfig.get_path("purelib"))
        for entry in {file.parts[0] for file in distribution(name).files or ()} - {"..", "__pycache__"}:
            target = self.libraries / entry
            if not target.exists():
                target.symlink_to(site / entry)
