"""Checks of versions: Python, CQOx, and the packages of its extras."""

import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from cqox.cli.doctor.check import Found
from cqox.contract.messages import Message

__all__ = ["Requirement", "check_packages", "check_python", "of_extras"]

_LEAST_PYTHON = (3, 13)
_DISTRIBUTIONS = ("cqox", "cqox-analysis", "cqox-assets", "cqox-services")
_NEEDED = ("", "engine")
"""The base and the extra that every command needs."""

_REQUIREMENT = re.compile(r"^([\w.-]+)(?:\[([\w,\s-]+)\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w.-]+)['\"]")
_BOUND = re.compile(r"(>=|<)\s*([\w.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A package that an extra needs.

    Attributes:
        package: its name.
        bounds: the versions that are accepted, such as `>=2,<3`.
    """

    package: str
    bounds: str

    def accepts(self, found: str) -> bool:
        """Return whether a version lies within the bounds."""
        release = _release(found)
        return all(
            release >= _release(bound) if sign == ">=" else release < _release(bound)
            for sign, bound in _BOUND.findall(self.bounds)
        )


def check_python() -> Iterator[Found]:
    """Report the versions of Python and of CQOx."""
    running = sys.version_info[:2]
    said = Message("doctor.python", version=platform.python_version(), system=platform.platform(terse=True))
    data = {"version": platform.python_version(), "executable": sys.executable, "system": platform.platform()}
    if running < _LEAST_PYTHON:
        yield Found(status="fail", text=said, remedy=Message("doctor.newer-python"), data=data)
    else:
        yield Found(status="ok", text=said, data=data)
    found = {name: _version(name) for name in _DISTRIBUTIONS}
    installed = {name: each for name, each in found.items() if each is not None}
    listed = [f"{name} {each}" for name, each in installed.items()]
    if not installed:
        yield Found(status="ok", text=Message("doctor.cqox-from-source"))
    elif len(set(installed.values())) > 1:
        remedy = Message("doctor.install", what=f"--upgrade {' '.join(installed)}")
        yield Found(status="fail", text=Message("doctor.cqox-differs", found=listed), remedy=remedy, data={**installed})
    else:
        yield Found(status="ok", text=Message("doctor.cqox", found=listed), data={**installed})


def check_packages() -> Iterator[Found]:
    """Report the packages of every extra, those that are missing, and those that are too old or too new.

    An extra is left out where smaller ones have all of its packages.
    """
    extras = of_extras(_requirements())
    reported: set[str] = set()
    absent: dict[str, list[str]] = {}
    for extra in sorted(extras, key=lambda name: (name not in _NEEDED, name == "all", len(extras[name]), name)):
        wanted = [each for each in extras[extra] if each.package not in reported]
        reported |= {each.package for each in wanted}
        found = {each.package: _version(each.package) for each in wanted}
        missing = [name for name, each in found.items() if each is None]
        if missing and extra not in _NEEDED:
            absent[extra] = missing
        elif wanted:
            yield _of_extra(extra, wanted, found, missing)
    if absent:
        install = Message("doctor.install", what=f"'cqox[{','.join(absent)}]'")
        text = Message("doctor.extras-absent", extras=[*absent])
        yield Found(status="ok", text=text, remedy=install, data={name: [*each] for name, each in absent.items()})


def _of_extra(
    extra: str, wanted: Sequence[Requirement], found: Mapping[str, str | None], missing: Sequence[str]
) -> Found:
    name = extra or "cqox"
    install = Message("doctor.install", what=f"--upgrade 'cqox[{extra}]'" if extra else "--force-reinstall cqox")
    if missing:
        text = Message("doctor.packages-missing", extra=name, missing=missing)
        return Found(status="fail", text=text, remedy=install, data={"missing": [*missing]})
    wrong = [each for each in wanted if not each.accepts(str(found[each.package]))]
    if wrong:
        listed = [f"{each.package} {found[each.package]} ({each.bounds})" for each in wrong]
        text = Message("doctor.packages-differ", extra=name, found=listed)
        return Found(status="fail" if extra in _NEEDED else "warn", text=text, remedy=install, data={**found})
    listed = [f"{package} {each}" for package, each in found.items()]
    return Found(status="ok", text=Message("doctor.packages", extra=name, found=listed), data={**found})


def of_extras(requirements: Sequence[str]) -> Mapping[str, Sequence[Requirement]]:
    """Return the requirements by extra, the base under an empty name, from the metadata of a distribution.

    An extra of CQOx that another one includes stands for itself and is left out there.
    """
    found: dict[str, list[Requirement]] = {}
    for line in requirements:
        match = _REQUIREMENT.match(line.strip())
        if match is None or match[1].lower().startswith("cqox"):
            continue
        extra = _EXTRA.search(match[4] or "")
        found.setdefault(extra[1] if extra else "", []).append(
            Requirement(package=match[1], bounds=(match[3] or "").strip())
        )
    return found


def _requirements() -> Sequence[str]:
    return [line for name in _DISTRIBUTIONS if _version(name) is not None for line in requires(name) or ()]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _release(text: str) -> tuple[int, ...]:
    """Return the numbers of a version up to the first part that is none, without zeros at the end."""
    numbers = list[int]()
    for part in text.split("."):
        digits = re.match(r"\d+", part)
        if digits is None:
            break
        numbers.append(int(digits[0]))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
