"""Content of a policy file, checked. Nothing is created here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cqox.resilience.configuration.dotted_names import or_near
from cqox.resilience.configuration.problems import PolicyFileInvalid
from cqox.resilience.configuration.settings import BUDGET, PARTS, Kind, read_settings
from cqox.resilience.configuration.syntax import read_document

__all__ = ["Described", "PolicyFile", "key_path", "read_policy_file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A part or a budget as the file describes it.

    Attributes:
        kind: its class.
        at: path in the file.
        settings: the settings that are given, checked; a budget is named.
    """

    kind: Kind
    at: str
    settings: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """The content of a policy file.

    Attributes:
        budgets: retry budgets by name.
        policies: the parts of each policy by its name, outermost first.
    """

    budgets: Mapping[str, Described]
    policies: Mapping[str, tuple[Described, ...]]


def read_policy_file(path: Path) -> PolicyFile:
    """Read and check a file. Modules that it names are imported.

    Raises:
        PolicyFileInvalid: with every problem that was found.
        OSError: the file cannot be read.
    """
    document = read_document(path)
    problems: list[str] = []
    content = _content(document, problems)
    if problems:
        raise PolicyFileInvalid(str(path), problems)
    return content


def key_path(*keys: str) -> str:
    """Return a path of keys in the syntax of TOML."""
    return ".".join(key if _BARE.fullmatch(key) else '"' + key.replace('"', '\\"') + '"' for key in keys)


_BARE = re.compile(r"[\w-]+")
_SECTIONS = ("budgets", "policies")


def _content(document: object, problems: list[str]) -> PolicyFile:
    top = _table("the file", document, problems)
    problems.extend(f"the file has no table {key!r}: {or_near(key, _SECTIONS)}" for key in top if key not in _SECTIONS)
    if not problems and not top.get("policies"):
        problems.append("policies must be a table with at least one policy")
    budgets = {
        name: _described(key_path("budgets", name), given, BUDGET, problems)
        for name, given in _table("budgets", top.get("budgets", {}), problems).items()
    }
    policies = {
        name: tuple(_parts(key_path("policies", name), given, budgets, problems))
        for name, given in _table("policies", top.get("policies", {}), problems).items()
    }
    if "" in budgets or "" in policies:
        problems.append("a name must be a text that is not empty, not ''")
    return PolicyFile(budgets=budgets, policies=policies)


def _parts(where: str, given: object, budgets: Mapping[str, Described], problems: list[str]) -> list[Described]:
    if not isinstance(given, list) or not given:
        problems.append(f"{where} must be a list of parts, outermost first, with at least one, not {given!r}")
        return []
    parts: list[Described] = []
    for number, each in enumerate(cast("list[object]", given)):
        at = f"{where}[{number}]"
        table = _table(at, each, problems)
        kind = table.pop("part", None)
        known = PARTS.get(kind) if isinstance(kind, str) else None
        if known is None:
            if isinstance(each, dict):
                problems.append(f"{at}.part must be the kind of a part, not {kind!r}: {or_near(str(kind), PARTS)}")
            continue
        part = _described(at, table, known, problems)
        budget = part.settings.get("budget")
        if budget is not None and budget not in budgets:
            problems.append(f"{at}.budget names no budget of the file, {budget!r}: {or_near(str(budget), budgets)}")
        parts.append(part)
    return parts


def _described(at: str, given: object, kind: Kind, problems: list[str]) -> Described:
    table = cast("Mapping[object, object]", _table(at, given, problems))
    return Described(kind=kind, at=at, settings=read_settings(at, table, kind, problems) if _is_table(given) else {})


def _is_table(given: object) -> bool:
    return isinstance(given, dict)


def _table(where: str, given: object, problems: list[str]) -> dict[str, object]:
    """Return a copy of a table; record a problem where it is none, or a key is no text."""
    if not isinstance(given, dict):
        problems.append(f"{where} must be a table, not {given!r}")
        return {}
    table: dict[str, object] = {}
    for key, value in cast("dict[object, object]", given).items():
        if isinstance(key, str):
            table[key] = value
        else:
            problems.append(f"{where} has a key that is no text: {key!r}")
    return table
