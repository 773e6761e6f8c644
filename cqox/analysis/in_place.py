"""A request on a table in place: a small one is read, a larger one is summed where it is, with a sample in memory.

Of the table, the mapped columns alone are described. Options that change rows or values have the table uploaded.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from cqox.analysis import engine_sample
from cqox.analysis.engine_sample import EngineSample, Numbers
from cqox.analysis.in_engine import InEngine, many_levels
from cqox.analysis.magnitudes import refuse_extreme, refuse_infinite
from cqox.analysis.mapping import by_names, check_mapping, columns_of, names_in
from cqox.analysis.opened import Opened, free_candidates, taken_note
from cqox.analysis.own_columns import OwnColumns
from cqox.analysis.place_sample import count_rows, looked_at, whole_table
from cqox.analysis.ranges import refuse_out_of_range
from cqox.analysis.remedies import Remedied
from cqox.analysis.row_keys import as_key, key_column
from cqox.analysis.suggested_covariates import Candidates
from cqox.analysis.workers.asking import ask
from cqox.contract import ROLES, AnalyzeRequest, Options, RoleMapping
from cqox.contract.messages import Message
from cqox.datasets import Column, ColumnsOnDisk, Description
from cqox.engines import SourceColumn, SqlMoments
from cqox.engines.place_columns import described_columns, source_column, typed
from cqox.engines.place_opening import opened_table
from cqox.engines.place_table import PlaceTable
from cqox.errors import InvalidRequest, SourceDown, UnusableData

__all__ = ["InPlace", "columns_in_place", "in_place"]

_COUNTED = ("unit_id", "cluster", "fixed_effects")
"""Roles whose different values are counted, however many."""
_EXACT = 2.0**53
"""Beyond, whole numbers that differ by one are one double."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InPlace:
    """A request on a table in place.

    Attributes:
        opened: the request, with the rows or a sample of them.
        placed: all rows, where they are summed; None where they have been read.
        notes: where the rows are, and which are in memory.
    """

    opened: Opened
    placed: InEngine | None
    notes: tuple[Message, ...]


@contextmanager
def in_place(
    place: Mapping[str, object], request: AnalyzeRequest, folder: Path, *, threads: int, after_read: Callable[[], None]
) -> Iterator[InPlace]:
    """Open a table in place inside the context.

    Args:
        place: `source`, `table`, `key` and `snapshot`, and what `opened_table` takes.
        request: the client's request.
        folder: for files that are needed meanwhile.
        threads: of an engine in this process.
        after_read: called after each pass over the table.

    Raises:
        InvalidRequest: the mapping or an option does not fit the table, or needs an upload.
        SourceDown: the table cannot be read.
        UnusableData: the table has no rows, or values that cannot be computed with.
    """
    with opened_table(place, folder, threads=threads, after_read=after_read, ask=ask) as table:
        total = count_rows(table, place)
        roles, options, notes = _checked(request, table, own=place.get("own") is True)
        table, never = _with_never(table, roles)
        notes += never
        key = _key(place, table)
        roles, chosen = _with_covariates(table, roles, options, key=key)
        notes += chosen
        names = list(dict.fromkeys([*columns_of(roles), *([key] if key else [])]))
        rows, aliases = table.columns(names)
        about = _about(place)
        if total <= engine_sample.SAMPLE_ROWS:
            frame, columns = whole_table(table, columns_of(roles))
            opened = _opened(folder, place, roles, options, notes, columns, frame.height)
            yield InPlace(opened=_with(opened, frame), placed=None, notes=(about, *_unsummed(options)))
            return
        exact = [name for role in _COUNTED for name in names_in(roles.get(role, ()))]
        number, columns = described_columns(table, rows, aliases, exact=exact)
        own = None if key is None or options.folds_version == 1 else as_key(columns[key])
        columns = {name: columns[name] for name in columns_of(roles)}
        opened = _opened(folder, place, roles, options, notes, columns, number)
        if many_levels(opened):
            raise InvalidRequest(Message("sources.many-levels"), field="mapping.covariates")
        placed = _placed(opened, table, rows, aliases, own)
        yield InPlace(opened=placed.opened, placed=placed, notes=(about, placed.note))


def columns_in_place(place: Mapping[str, object], folder: Path) -> list[dict[str, str | None]]:
    """Return `name`, `kind` and `type` of the columns of a table in place, as `cqox.contract.PlaceColumn`.

    Args:
        place: as of `in_place`.
        folder: for files that are needed meanwhile.

    Raises:
        SourceDown: the table cannot be read.
    """
    with opened_table(place, folder, threads=1, after_read=lambda: None, ask=ask) as table:
        usable: list[dict[str, str | None]] = [
            {"name": name, "kind": kind, "type": None} for name, kind in table.kinds.items()
        ]
        return [*usable, *({"name": name, "kind": None, "type": dtype} for name, dtype in table.others.items())]


def _checked(request: AnalyzeRequest, table: PlaceTable, *, own: bool) -> tuple[RoleMapping, Options, list[Message]]:
    roles, used = request.roles()
    headers = {name: name for name in (*table.kinds, *table.others)}
    roles, options = by_names(roles, request.options, headers)
    check_mapping(roles, list(headers))
    for option in ("drop_rows", "period_formats", "yes_no"):
        if getattr(options, option):
            of_memory, of_upload = (
                Message("sources.needs-memory", option=option), Message("sources.needs-upload", option=option),
            )  # fmt: skip
            raise InvalidRequest(of_memory if own else of_upload, field=f"options.{option}")
    if options.engine != "auto" and not own:
        raise InvalidRequest(Message("sources.no-engine"), field="options.engine", choices=["auto"])
    return roles, options, [Message("analysis.role-alias", word=word, role=role) for word, role in used.items()]


def _with_never(table: PlaceTable, roles: RoleMapping) -> tuple[PlaceTable, list[Message]]:
    """Return the table with missing first treated periods in place of infinite ones, and a note; they mean never."""
    cohort = roles.get("cohort")
    if not isinstance(cohort, str) or cohort not in table.kinds or not (rows := table.infinities(cohort)):
        return table, []
    return table.without_infinities(cohort), [Message("analysis.infinity-means-never", column=cohort, rows=rows)]


def _with_covariates(
    table: PlaceTable, roles: RoleMapping, options: Options, *, key: str | None
) -> tuple[RoleMapping, list[Message]]:
    """Return the roles with the covariates that `options.covariates = "auto"` takes, and notes on the choice."""
    if options.covariates != "auto" or "covariates" in roles:
        return roles, []
    # Refuses mapped columns of types that cannot be used.
    table.columns(columns_of(roles))
    seen = looked_at(table, key=key)
    rows = ColumnsOnDisk(path=Path(), height=seen.frame.height, replaced={each.name: each for each in seen.frame})
    free = free_candidates(rows, seen.columns, roles)
    notes = [taken_note(free), *free.notes("taken")]
    if seen.sample is not None:
        notes.append(Message("sources.covariates-of-sample", rows=seen.sample.rows, of=seen.sample.of, key=seen.by))
    merged = {**roles, "covariates": free.names} if free.names else roles
    return {role: merged[role] for role in ROLES if role in merged}, notes


def _key(place: Mapping[str, object], table: PlaceTable) -> str | None:
    key = place.get("key")
    if key is None:
        return None
    if str(key) not in table.kinds:
        raise SourceDown(Message("sources.no-key", source=str(place["source"]), column=str(key)))
    return str(key)


def _about(place: Mapping[str, object]) -> Message:
    source, table, snapshot = str(place["source"]), str(place["table"]), place.get("snapshot")
    files = place.get("files")
    if place.get("copied") and isinstance(files, list):
        return _about_copy(place, table, snapshot, len(files))
    if place.get("own") and isinstance(files, list):
        return Message("sources.own-in-place", table=table, count=len(files), snapshot=str(snapshot))
    if place.get("own") and place.get("format") == "iceberg":
        return Message("sources.own-iceberg", table=table, snapshot=str(snapshot))
    if snapshot is None:
        return Message("sources.in-place-now", source=source, table=table)
    return Message("sources.in-place", source=source, table=table, snapshot=str(snapshot))


def _about_copy(place: Mapping[str, object], table: str, snapshot: object, count: int) -> Message:
    if snapshot is None:
        return Message("sources.copied-now", table=table, count=count)
    if place.get("own"):
        return Message("sources.own-copied", table=table, count=count, snapshot=str(snapshot))
    return Message("sources.copied", source=str(place["source"]), table=table, count=count, snapshot=str(snapshot))


def _unsummed(options: Options) -> list[Message]:
    if options.engine == "auto":
        return []
    return [Message("by_moments.in-memory", engine=options.engine, why=Message("by_moments.small"))]


def _opened(
    folder: Path,
    place: Mapping[str, object],
    roles: RoleMapping,
    options: Options,
    notes: Sequence[Message],
    columns: Mapping[str, Column],
    rows: int,
) -> Opened:
    refuse_infinite(columns, list(columns))
    refuse_extreme(columns, roles)
    _refuse_inexact(columns, roles)
    path = folder / "table"
    described = Description(name=str(place["table"]), rows=rows, columns=tuple(columns.values()), format="in place")
    read = Remedied(table=ColumnsOnDisk(path=path, height=rows), columns=columns, notes=())
    return Opened(
        path=path, described=described, read=read, roles=roles, options=options, notes=tuple(notes),
        free=Candidates(names=(), excluded={}),
    )  # fmt: skip


def _refuse_inexact(columns: Mapping[str, Column], roles: RoleMapping) -> None:
    """Refuse numbers that name units where they are doubles and different ones may have become one."""
    for role in _COUNTED:
        for name in names_in(roles.get(role, ())):
            column = columns[name]
            bounds = [abs(each) for each in (column.minimum, column.maximum) if isinstance(each, float)]
            if column.dtype == "float64" and max(bounds, default=0.0) > _EXACT:
                raise UnusableData(Message("sources.inexact-names", column=name), field=f"mapping.{role}")


def _with(opened: Opened, frame: pl.DataFrame) -> Opened:
    """Return the request with rows in the place of the table."""
    table = ColumnsOnDisk(path=opened.path, height=frame.height, replaced={each.name: each for each in frame})
    return replace(opened, read=replace(opened.read, table=table))


def _placed(
    opened: Opened, table: PlaceTable, rows: str, aliases: Mapping[str, str], own: SourceColumn | None
) -> InEngine:
    row, names = SourceColumn(name="rownumber", kind="number"), OwnColumns.of(aliases)
    mapped = key_column(opened)
    by_key = None if own is None else replace(own, name=aliases[own.name])
    key = by_key if mapped is None else replace(mapped, name=aliases[mapped.name])
    columns = {name: source_column(alias, table.kinds[name]) for name, alias in aliases.items()}
    columns |= {names.row: row, names.row_key: by_key or replace(row, kind="number key")}
    if key is not None:
        columns[names.fold_key] = key
    source = SqlMoments(engine=table.engine, table=rows, columns=columns)
    refuse_out_of_range(opened.columns, opened.roles, source)

    def read(numbers: Numbers, wanted: Sequence[str] | None = None) -> pl.DataFrame:
        return typed(table.read(numbers, wanted or list(opened.columns)), opened.columns)

    chosen, by_unit = EngineSample(
        opened=opened, source=source, own=names, read=read, about=engine_sample.SAMPLE_ROWS
    ).rows()  # fmt: skip
    sample = read(chosen)
    return InEngine(
        opened=_with(opened, sample),
        source=source,
        frame=sample,
        rows=opened.rows,
        by_unit=by_unit,
        fold_key=None if key is None else names.fold_key,
        row=names.row,
        read=read,
    )
