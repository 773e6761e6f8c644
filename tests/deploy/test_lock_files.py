"""The lock file of the gateway is a part of the one of everything, so that both images run the same versions."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_PINNED = re.compile(r"^([a-z0-9-]+)==(\S+)([^\\\n]*)", re.MULTILINE)
_OURS = {"cqox", "cqox-analysis", "cqox-assets"}


def locked(*names: str) -> dict[str, tuple[str, str]]:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in names]
    return {package: (version, marker.strip()) for text in texts for package, version, marker in _PINNED.findall(text)}


def names(requirements: Sequence[str | dict[str, str]]) -> set[str]:
    """Return what requirements name, with those of the groups and extras that they include."""
    found: set[str] = set()
    for requirement in requirements:
        if isinstance(requirement, dict):
            found |= names(PYPROJECT["dependency-groups"][requirement["include-group"]])
            continue
        name, of = re.match(r"([A-Za-z0-9-]+)(?:\[([a-z,]+)\])?", requirement).groups()
        if name == "cqox":
            extras = PYPROJECT["project"]["optional-dependencies"]
            found |= set().union(*(names(extras[extra]) for extra in of.split(",")))
        else:
            found.add(name.lower())
    return found - _OURS


def test_the_gateway_has_the_versions_that_the_engine_has() -> None:
    gateway, everything = locked("requirements-gateway.lock"), locked("requirements.lock")
    assert gateway.items() <= everything.items()


def test_the_lock_files_have_what_the_services_ask_for() -> None:
    groups = PYPROJECT["dependency-groups"]
    assert names(groups["gateway"]) <= set(locked("requirements-gateway.lock"))
    assert names(groups["services"]) <= set(locked("requirements.lock"))
    assert names(groups["gateway"]) < names(groups["services"])


def test_the_tests_have_what_every_extra_asks_for() -> None:
    together = locked("requirements.lock", "requirements-test.lock", "requirements-peers.lock")
    assert names(["cqox[all]"]) <= set(together)
    extras = PYPROJECT["project"]["optional-dependencies"]
    assert names(["cqox[all]"]) == set().union(*(names(extra) for extra in extras.values()))


def test_no_lock_file_names_a_place() -> None:
    for path in ROOT.glob("requirements*.lock"):
        assert "://" not in path.read_text(encoding="utf-8"), path.name


def test_no_lock_file_has_a_distribution_of_the_tree() -> None:
    for path in ROOT.glob("requirements*.lock"):
        assert not re.search(r"^(-e |\./|cqox)", path.read_text(encoding="utf-8"), re.MULTILINE), path.name
