"""Setting names that are unambiguous across the parts of a policy.

A setting is addressed by its own name where only one part has it, and by `part.setting` in any case: `part` is the name
of the part, or its kind (`Timeout`), or its kind with a number (`Timeout#2`) where that is ambiguous.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from cqox.resilience.pipeline.part import Part

__all__ = ["Setting", "SettingsByName"]


class Setting(NamedTuple):
    """One setting of one part."""

    part: Part
    name: str


class SettingsByName:
    """Index of the settings of `parts` by every valid name.

    Args:
        owner: owner of the parts, for messages.
        parts: the parts in their order.
    """

    __slots__ = ("_owner", "_places", "_settings")

    def __init__(self, owner: str, parts: Sequence[Part]) -> None:
        self._owner = owner
        self._settings: list[tuple[Setting, list[str]]] = []
        self._places: defaultdict[str, list[Setting]] = defaultdict(list)
        seen = Counter[str]()
        for part in parts:
            seen[part.kind] += 1
            # The number is needed for a single part of its kind too: another part may be named like that kind.
            labels = [part.name, part.kind, f"{part.kind}#{seen[part.kind]}"]
            for name in sorted(part.setting_names()):
                setting = Setting(part, name)
                spellings = [name, *(f"{label}.{name}" for label in dict.fromkeys(labels))]
                self._settings.append((setting, spellings))
                for spelling in spellings:
                    self._places[spelling].append(setting)

    def names(self) -> list[str]:
        """Return the shortest unambiguous name of each setting, in the order of the parts."""
        return [self._shortest(spellings) for _, spellings in self._settings]

    def by_part(self, changes: Mapping[str, object]) -> dict[Part, dict[str, object]]:
        """Group `changes` by part.

        Raises:
            TypeError: a name is unknown or ambiguous, or two names refer to the same setting.
        """
        sorted_out: dict[Part, dict[str, object]] = {}
        for name, value in changes.items():
            setting = self._resolve(name)
            mine = sorted_out.setdefault(setting.part, {})
            if setting.name in mine:
                raise TypeError(f"{self._owner}: {name!r} was given twice, under two of its names")
            mine[setting.name] = value
        return sorted_out

    def _resolve(self, name: str) -> Setting:
        found = self._places.get(name, [])
        if len(found) == 1:
            return found[0]
        if found:
            choices = ", ".join(self._spellings_of(found))
            raise TypeError(f"{self._owner} has {len(found)} settings {name!r}: give one of {choices}")
        known = ", ".join(sorted(self.names())) or "none"
        raise TypeError(f"{self._owner} has no setting {name!r} to change; it has: {known}")

    def _spellings_of(self, settings: Sequence[Setting]) -> Iterator[str]:
        return (self._shortest(spellings) for setting, spellings in self._settings if setting in settings)

    def _shortest(self, spellings: Sequence[str]) -> str:
        return next((spelling for spelling in spellings if len(self._places[spelling]) == 1), spellings[-1])
