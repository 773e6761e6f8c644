"""Experiments out of TOML files; what a file may not say is refused with the file, the field and what was expected."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from cqox.chaos.experiments.experiment import (
    COMPONENTS,
    LINKS,
    After,
    Experiment,
    Fault,
    Load,
    Needs,
    Probe,
    SteadyState,
    Target,
    Text,
    Value,
)
from cqox.chaos.experiments.kinds import FAULTS, MIX, PARTS, PROBES, Parameter
from cqox.errors import CqoxError

__all__ = ["ExperimentInvalid", "read_experiment", "read_experiments"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MOST_SECONDS = 3600.0
_USUAL_MIX = {"analysis": 0.4, "job": 0.1, "stored": 0.3, "health": 0.2}
_USUAL_RATE = 10.0
_NEEDED_BY = {
    "postgres": "postgres",
    "redis": "redis",
    "openbao": "openbao",
    "object-store": "object-store",
    "identity-provider": "identity-provider",
}


class ExperimentInvalid(CqoxError):
    """A file does not describe an experiment.

    Attributes:
        file: its path.
        field: where in it, such as `faults[0].target`; empty for the whole.
        reason: what is wrong, and what was expected.
    """

    def __init__(self, file: Path, field: str, reason: str) -> None:
        self.file = file
        self.field = field
        self.reason = reason
        super().__init__(f"{file}: {f'{field}: ' if field else ''}{reason}")


def read_experiments(folder: Path) -> list[Experiment]:
    """Return the experiments of all `.toml` files of a folder, by name.

    Raises:
        ExperimentInvalid: there is none, or one of them is no experiment.
    """
    files = sorted(folder.glob("*.toml"), key=lambda file: file.stem) if folder.is_dir() else []
    if not files:
        raise ExperimentInvalid(folder, "", "there is no experiment in this folder")
    return [read_experiment(file) for file in files]


def read_experiment(file: Path) -> Experiment:
    """Return the experiment that a file describes; its name is that of the file.

    Raises:
        ExperimentInvalid: the file cannot be read, or something in it is missing, unknown or out of its bounds.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ExperimentInvalid(file, "", f"it is no TOML file that can be read: {error}") from error
    if not _NAME.fullmatch(file.stem):
        raise ExperimentInvalid(file, "", "the name of the file must be words in lower case with hyphens")
    return _experiment(file.stem, _Table(file, "", content))


class _Table:
    """One table of the file, whose keys are taken one by one."""

    def __init__(self, file: Path, field: str, content: Mapping[str, object]) -> None:
        self.file = file
        self.field = field
        self._left = dict(content)

    def invalid(self, key: str, reason: str) -> ExperimentInvalid:
        return ExperimentInvalid(self.file, self.at(key), reason)

    def at(self, key: str) -> str:
        return ".".join(filter(None, (self.field, key)))

    def has(self, key: str) -> bool:
        return key in self._left

    def take[T](self, key: str, kind: type[T], what: str) -> T:
        if key not in self._left:
            raise self.invalid(key, f"it is missing: expected {what}")
        found = self._left.pop(key)
        if kind is float and type(found) is int:
            found = float(found)
        # Not isinstance: booleans are whole numbers to Python.
        if type(found) is not kind:
            raise self.invalid(key, f"expected {what}, not {found!r}")
        return found

    def number(self, key: str, *, least: float, most: float, default: float | None = None) -> float:
        if default is not None and not self.has(key):
            return default
        found = self.take(key, float, f"a number from {least:g} to {most:g}")
        if not least <= found <= most:
            raise self.invalid(key, f"expected a number from {least:g} to {most:g}, not {found:g}")
        return found

    def whole(self, key: str, *, least: int, most: int, default: int) -> int:
        if not self.has(key):
            return default
        found = self.take(key, int, f"a whole number from {least} to {most}")
        if not least <= found <= most:
            raise self.invalid(key, f"expected a whole number from {least} to {most}, not {found}")
        return found

    def text(self, key: str, choices: Iterable[str] = (), default: str | None = None) -> str:
        if default is not None and not self.has(key):
            return default
        allowed = tuple(choices)
        what = f"one of {', '.join(allowed)}" if allowed else "a text"
        found = self.take(key, str, what)
        if allowed and found not in allowed:
            near = difflib.get_close_matches(found, allowed, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise self.invalid(key, f"expected {what}, not {found!r}{hint}")
        if not found.strip() and default != "":
            raise self.invalid(key, "it is empty")
        return found

    def table(self, key: str, what: str) -> "_Table":
        return _Table(self.file, self.at(key), self.take(key, dict, what))

    def tables(self, key: str, what: str) -> list["_Table"]:
        found = self.take(key, list, what) if self.has(key) else []
        for number, each in enumerate(found):
            if type(each) is not dict:
                raise self.invalid(f"{key}[{number}]", f"expected a table, not {each!r}")
        return [_Table(self.file, self.at(f"{key}[{number}]"), each) for number, each in enumerate(found)]

    def pairs(self, key: str) -> Mapping[str, object]:
        return self.take(key, dict, "a table") if self.has(key) else {}

    def end(self, known: Iterable[str]) -> None:
        """Refuse what nobody has taken."""
        for key in self._left:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
            raise self.invalid(key, f"there is no such key{hint}")


def _experiment(name: str, table: _Table) -> Experiment:
    if not table.has("steady_state"):
        raise table.invalid("steady_state", "an experiment needs a steady state: without one nothing can be lost")
    needs = _needs(table.table("needs", "a table")) if table.has("needs") else Needs()
    faults = tuple(_fault(each, needs) for each in table.tables("faults", "tables"))
    if not faults:
        raise table.invalid("faults", "an experiment needs at least one fault")
    made = Experiment(
        name=name,
        title=_both(table, "title"),
        hypothesis=_both(table, "hypothesis"),
        needs=needs,
        load=_load(table),
        steady_state=_steady_state(table.table("steady_state", "a table")),
        faults=faults,
        during=_probes(table, "during"),
        after=_after(table.table("after", "a table with healed_within")),
        schedule=table.text("schedule", default=""),
        runbook=table.text("runbook", default=""),
    )
    if not made.during:
        raise table.invalid("during", "an experiment needs at least one probe while its faults last")
    table.end(
        ("title", "hypothesis", "needs", "load", "steady_state", "faults", "during", "after", "schedule", "runbook")
    )
    return made


def _both(table: _Table, key: str) -> Text:
    inner = table.table(key, "a table with en and ja")
    made = Text(en=inner.text("en"), ja=inner.text("ja"))
    inner.end(("en", "ja"))
    return made


def _needs(table: _Table) -> Needs:
    parts = table.take("parts", list, "a list of parts") if table.has("parts") else []
    for part in parts:
        if part not in PARTS:
            raise table.invalid("parts", f"expected parts of {', '.join(PARTS)}, not {part!r}")
    settings = dict[str, str]()
    for key, value in table.pairs("settings").items():
        if not isinstance(value, str):
            raise table.invalid(f"settings.{key}", f"expected a text, not {value!r}")
        settings[key] = value
    policies = dict[str, Mapping[str, Value]]()
    for key, changes in table.pairs("policies").items():
        if not isinstance(changes, dict) or not all(isinstance(each, str | int | float) for each in changes.values()):
            raise table.invalid(f"policies.{key}", "expected a table of settings of the policy")
        policies[key] = changes
    made = Needs(
        gateways=table.whole("gateways", least=1, most=3, default=1),
        engines=table.whole("engines", least=1, most=5, default=2),
        parts=tuple(parts),
        settings=settings,
        policies=policies,
    )
    table.end(("gateways", "engines", "parts", "settings", "policies"))
    return made


def _load(table: _Table) -> Load:
    if not table.has("load"):
        return Load(per_second=_USUAL_RATE, mix=_USUAL_MIX)
    inner = table.table("load", "a table")
    per_second = inner.number("per_second", least=0.1, most=1000, default=_USUAL_RATE)
    mix = _USUAL_MIX
    if inner.has("mix"):
        shares = inner.table("mix", "a table")
        mix = {kind: shares.number(kind, least=0, most=1) for kind in MIX if shares.has(kind)}
        shares.end(tuple(MIX))
        if abs(sum(mix.values()) - 1) > 1e-9:
            raise inner.invalid("mix", f"the shares must sum to 1, not {sum(mix.values()):g}")
    inner.end(("per_second", "mix"))
    return Load(per_second=per_second, mix=mix)


def _steady_state(table: _Table) -> SteadyState:
    made = SteadyState(
        seconds=table.number("seconds", least=1, most=_MOST_SECONDS, default=4.0), probes=_probes(table, "probes")
    )
    if not made.probes:
        raise table.invalid("probes", "a steady state needs at least one probe")
    table.end(("seconds", "probes"))
    return made


def _after(table: _Table) -> After:
    made = After(
        healed_within=table.number("healed_within", least=0.5, most=_MOST_SECONDS), probes=_probes(table, "probes")
    )
    table.end(("healed_within", "probes"))
    return made


def _fault(table: _Table, needs: Needs) -> Fault:
    kind = table.text("kind", FAULTS)
    about = FAULTS[kind]
    target = _target(table, about.targets, kind)
    if (part := _NEEDED_BY.get(target.component)) and part not in needs.parts:
        raise table.invalid("target", f"the system has no {part}: add it to needs.parts")
    least = 0.1 if about.lasting else 0.0
    made = Fault(
        kind=kind,
        target=target,
        seconds=table.number("seconds", least=least, most=_MOST_SECONDS, default=None if about.lasting else 0.0),
        begin=table.number("begin", least=0, most=_MOST_SECONDS, default=0.0),
        parameters=_parameters(table, about.parameters),
    )
    table.end(("kind", "target", "mode", "seconds", "begin", *about.parameters))
    return made


def _target(table: _Table, allowed: tuple[str, ...], kind: str) -> Target:
    name = table.text("target", (*COMPONENTS, *LINKS))
    if name not in allowed:
        raise table.invalid("target", f"{kind} cannot break {name}: its targets are {', '.join(allowed)}")
    source, arrow, component = name.rpartition("->")
    mode = table.text("mode", ("one", "all"), default="one")
    return Target(component=component, source=source if arrow else None, mode="all" if mode == "all" else "one")


def _probes(table: _Table, key: str) -> tuple[Probe, ...]:
    made = []
    for each in table.tables(key, "tables with a kind"):
        kind = each.text("kind", PROBES)
        known = PROBES[kind].parameters
        made.append(Probe(kind=kind, parameters=_parameters(each, known)))
        each.end(("kind", *known))
    return tuple(made)


def _parameters(table: _Table, known: Mapping[str, Parameter]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, about in known.items():
        if not table.has(name) and about.default is not None:
            found[name] = about.default
        elif table.has(name) or not about.optional:
            found[name] = _parameter(table, name, about)
    return found


def _parameter(table: _Table, name: str, about: Parameter) -> Value:
    if about.type is str:
        return table.text(name, about.choices)
    value = table.take(name, about.type, about.about)
    low = about.minimum is not None and cast(float, value) < about.minimum
    if low or (about.maximum is not None and cast(float, value) > about.maximum):
        bounds = " ".join(
            f"{word} {bound:g}" for word, bound in (("from", about.minimum), ("to", about.maximum)) if bound is not None
        )
        raise table.invalid(name, f"expected {about.about}, {bounds}, not {value!r}")
    return value
