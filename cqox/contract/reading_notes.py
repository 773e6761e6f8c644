"""Notes on reading a file, from the description of its data set."""

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

__all__ = ["reading_notes"]


def reading_notes(description: Mapping[str, JsonValue], mapping: Mapping[str, JsonValue]) -> list[str]:
    """Return the notes on reading a file and its mapped columns, and the findings.

    Args:
        description: the description of the data set, as `DatasetDescription`.
        mapping: which column plays which role.
    """
    mapped = {str(name) for given in mapping.values() for name in (given if isinstance(given, list) else [given])}
    notes = [str(note) for note in _list(description.get("notes"))]
    for column in _list(description.get("columns")):
        if isinstance(column, dict) and column.get("name") in mapped:
            notes += [f"{column['name']}: {note}" for note in _list(column.get("notes"))]
    findings = [finding for finding in _list(description.get("findings")) if isinstance(finding, dict)]
    return [*notes, *(str(finding["message"]) for finding in findings)]


def _list(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list) else ()
