"""Roles of columns of a table in place: a small one is read; of a larger one all rows are summed, and some looked at.

Only columns of types that can be analysed get a role.
"""

from collections.abc import Mapping
from pathlib import Path

from cqox.analysis.inferred_roles import inferred_in_memory, inferred_of_sample
from cqox.analysis.place_sample import count_rows, looked_at
from cqox.analysis.workers.asking import ask
from cqox.contract.messages import Message, collect_messages
from cqox.engines.place_opening import opened_table

__all__ = ["roles_in_place"]


def roles_in_place(place: Mapping[str, object], folder: Path, *, threads: int) -> dict[str, object]:
    """Return the likeliest roles as JSON values, without `dataset_id`; see `cqox.contract.Inference`.

    Args:
        place: as of `cqox.analysis.in_place.in_place`.
        folder: for files that are needed meanwhile.
        threads: of an engine in this process.

    Raises:
        SourceDown: the table cannot be read.
        UnusableData: the files are no parts of one table, or have no rows, or a column has dates beyond those of
            Python.
    """
    with opened_table(place, folder, threads=threads, after_read=lambda: None, ask=ask) as table:
        if place.get("own"):
            count_rows(table, place)
        seen = looked_at(table, key=place.get("key"))
        unusable = list(table.others)
    columns, sample, notes = list(seen.columns.values()), seen.sample, list[Message]()
    inference = (inferred_in_memory if sample is None else inferred_of_sample)(seen.frame, columns)
    if sample is not None:
        notes.append(Message("sources.roles-of-sample", rows=sample.rows, of=sample.of, key=seen.by))
    if unusable:
        notes.append(Message("sources.roles-unusable", columns=unusable))
    found: dict[str, object] = {**inference.to_json(), "findings": []}
    found["notes"] = [*notes, *inference.notes]
    answer = {**found, "sample": None if sample is None else sample.model_dump()}
    return {**answer, "messages": collect_messages(answer)}
