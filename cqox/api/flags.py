"""Roles, options and remedies as flags of the command line."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO

from pydantic import JsonValue

from cqox.contract import ROLES, ReshapingOptions

__all__ = ["flag_of", "flags_of_mapping", "flags_of_pairs", "flags_of_remedy"]


def flag_of(role: str) -> str:
    """Return the flag of a role."""
    return f"--{role.replace('_', '-')}"


def flags_of_mapping(mapping: Mapping[str, object]) -> list[list[str]]:
    """Return the words of a command line for each role of a mapping, before any quoting for a shell.

    Names of columns are separated by commas, quoted as in CSV where they hold one.
    """
    return [_words(flag_of(role), _columns(role, columns)) for role, columns in mapping.items()]


def flags_of_pairs(flag: str, pairs: Mapping[str, JsonValue]) -> list[list[str]]:
    """Return the words of a command line for each option; values that are no text are written as JSON."""
    return [
        [flag, f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"]
        for name, value in pairs.items()
    ]


def flags_of_remedy(remedy: JsonValue, *, reading: bool = False) -> Iterator[list[str]]:
    """Yield the words of a command line for each part of the remedy of a data finding.

    Args:
        remedy: as the API returns it.
        reading: yield only options of reading the file, also those that an analysis takes as well.
    """
    if not isinstance(remedy, dict) or not isinstance(remedy["parameters"], dict):
        return
    for name, value in remedy["parameters"].items():
        if reading:
            if name in ReshapingOptions.model_fields:
                yield from flags_of_pairs("--read", {name: value})
        elif name == "mapping" and isinstance(value, dict):
            yield from flags_of_mapping(value)
        else:
            yield from flags_of_pairs("--read" if remedy["at"] == "upload" else "--option", {name: value})


def _columns(role: str, columns: object) -> str:
    several = columns if isinstance(columns, Sequence) and not isinstance(columns, str) else [columns]
    if len(several) == 1 and role in ROLES and ROLES[role].arity != "columns":
        return str(several[0])
    row = StringIO()
    csv.writer(row, lineterminator="").writerow(several)
    return row.getvalue()


def _words(flag: str, value: str) -> list[str]:
    """Return flag and value; as one word where the value looks like a flag."""
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]
