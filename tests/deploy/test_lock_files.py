"""The lock file of the gateway is a part of the one of everything, so that both images run the same versions."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PINNED = re.compile(r"^([a-z0-9-]+)==(\S+)([^\\\n]*)", re.MULTILINE)


def locked(name: str) -> dict[str, tuple[str, str]]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return {package: (version, marker.strip()) for package, version, marker in _PINNED.findall(text)}


def test_the_gateway_has_the_versions_that_the_engine_has() -> None:
    gateway, everything = locked("requirements-gateway.lock"), locked("requirements.lock")
    assert gateway.items() <= everything.items()


def test_the_lock_files_have_what_the_extras_ask_for() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]

    def names(extra: str) -> set[str]:
        found: set[str] = set()
        for requirement in extras[extra]:
            name, of = re.match(r"([A-Za-z0-9-]+)(?:\[([a-z,]+)\])?", requirement).groups()
            found |= set().union(*(names(one) for one in of.split(","))) if name == "cqox" else {name.lower()}
        return found

    assert names("gateway") <= set(locked("requirements-gateway.lock"))
    assert names("all") <= set(locked("requirements.lock"))


def test_no_lock_file_names_a_place() -> None:
    for path in ROOT.glob("requirements*.lock"):
        assert "://" not in path.read_text(encoding="utf-8"), path.name
