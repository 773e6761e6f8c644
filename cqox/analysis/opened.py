"""A request with the table it names: roles, remedies, notes and findings, up to the arrays of each contrast.

Preview and report both begin here, so that they cannot disagree on rows, notes and findings. Nothing is estimated.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cqox.analysis.data_findings import data_findings
from cqox.analysis.magnitudes import is_extreme, refuse_extreme, refuse_infinite
from cqox.analysis.mapping import by_names, check_mapping, columns_of
from cqox.analysis.prepare import Prepared, prepare
from cqox.analysis.remedies import Remedied, remedied
from cqox.analysis.roles import Rows
from cqox.analysis.suggested_covariates import Candidates, covariate_candidates
from cqox.analysis.unmapped import Unmapped
from cqox.contract import ROLES, AnalyzeRequest, DataFinding, Options, RoleMapping
from cqox.contract.messages import Message, joined, of
from cqox.datasets import Column, ColumnsOnDisk, Description, capping, describe
from cqox.errors import UnusableData
from cqox.estimators.numerics.array_store import in_files

__all__ = ["Opened", "free_candidates", "open_request", "suggestions", "taken_note"]

_MOST_CELLS, _MOST_CELLS_OF_FEW_ROWS, _FEW_ROWS = 6_000_000, 13_000_000, 1_000_000
"""Number of mapped cells up to which an analysis runs in memory; beyond, its large arrays are in files.

Each estimate has vectors of the rows, so that few rows may have more cells: 1,000,000 rows of 12 columns take 700 MiB.
Files take half of it, and almost twice the CPU time.
"""

_WITHOUT_COVARIATES = ("synthetic_control",)
"""Families that adjust for no covariates."""

_OF_VALUES = {
    "datasets.note-codes-of-missing-values",
    "datasets.note-commas-of-thousands",
    "datasets.note-day-month-year",
    "datasets.note-decimal-comma",
    "datasets.note-month-day-year",
    "datasets.note-parentheses",
    "datasets.note-percentages",
    "datasets.note-points-of-thousands",
    "datasets.note-scales",
    "datasets.note-triangles",
    "datasets.note-unit-removed",
    "datasets.note-utc",
}
"""Codes of the notes on how a column's cells were parsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A request whose mapping fits its table.

    Attributes:
        path: the table, as stored by `cqox.datasets`.
        described: its description.
        read: the table as the options have it read.
        roles: canonical role to mapped columns or value.
        options: the request's options, with columns by their names.
        notes: choices made by rule, before any array is made.
        free: columns that could be covariates.
    """

    path: Path
    described: Description
    read: Remedied
    roles: RoleMapping
    options: Options
    notes: tuple[Message, ...]
    free: Candidates

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return self.described.rows

    @property
    def columns(self) -> Mapping[str, Column]:
        """Descriptions of the columns by name."""
        return self.read.columns

    @property
    def large(self) -> bool:
        """True if the arrays of the analysis do not fit into memory."""
        rows = self.read.table.height
        return rows * len(columns_of(self.roles)) > (_MOST_CELLS_OF_FEW_ROWS if rows <= _FEW_ROWS else _MOST_CELLS)

    def room(self) -> AbstractContextManager[None]:
        """Return the context in which arrays are made: in files next to the table where they are large."""
        return in_files(self.path.parent if self.large else None)

    def frame(self) -> Rows:
        """Return the mapped columns."""
        return self.read.table if self.large else self.read.table.load(columns_of(self.roles))

    def findings(self, frame: Rows) -> tuple[list[DataFinding], list[Message]]:
        """Return the findings on the data, and a note on each accepted code that is absent."""
        return data_findings(self.described, self.read, frame, self.roles, self.options)

    def prepared(self, frame: Rows, findings: Sequence[DataFinding]) -> Prepared:
        """Return the arrays of each contrast.

        Raises:
            InvalidRequest: a column cannot play its role.
            UnusableData: the outcome or the treatment does not vary; says which findings may be why.
        """
        try:
            return prepare(frame, self.columns, self.roles, self.options)
        except UnusableData as error:
            limiting = capping(findings)
            if not limiting:
                raise
            sentences = joined([of(error.detail), *(of(finding.message) for finding in limiting)])
            raise UnusableData(sentences, field=error.field, choices=error.choices) from error

    def unmapped(self, findings: Sequence[DataFinding]) -> Unmapped:
        """Return the columns without a role, to be compared with the assigned variable of a design."""
        return Unmapped(self.read.table.load, self.columns, self.roles, self.options, others=findings)


def open_request(path: Path, request: AnalyzeRequest) -> Opened:
    """Check a request against its table and apply its remedies.

    Args:
        path: the table, as stored by `cqox.datasets`.
        request: the client's request; its `dataset_id` is ignored.

    Raises:
        InvalidRequest: the mapping or an option names something that does not exist or cannot play its role.
        UnusableData: no row is left, or a mapped column has infinite or extreme values.
    """
    described = describe(path)
    roles, aliases = request.roles()
    headers = {column.name: column.original_name for column in described.columns}
    roles, options = by_names(roles, request.options, headers)
    check_mapping(roles, list(headers))
    notes = [Message("analysis.role-alias", word=word, role=role) for word, role in aliases.items()]
    cohort = roles.get("cohort")
    read = remedied(
        path, described, options, mapped=columns_of(roles), cohort=cohort if isinstance(cohort, str) else None
    )
    columns, notes = read.columns, [*notes, *read.notes]
    # In a column of first treated periods infinity means never treated.
    refuse_infinite(columns, [name for name in columns_of(roles) if name != cohort])
    if isinstance(cohort, str) and columns[cohort].infinite:
        notes.append(Message("analysis.infinity-means-never", column=cohort, rows=columns[cohort].infinite))
    refuse_extreme(columns, roles)
    free = free_candidates(read.table, columns, roles)
    if options.covariates == "auto" and "covariates" not in roles:
        notes += [taken_note(free), *free.notes("taken")]
        merged = {**roles, "covariates": free.names} if free.names else roles
        roles, free = {role: merged[role] for role in ROLES if role in merged}, Candidates(names=(), excluded={})
    notes += _readings(columns, columns_of(roles))
    return Opened(
        path=path, described=described, read=read, roles=roles, options=options, notes=tuple(notes), free=free
    )


def suggestions(free: Candidates, families: Sequence[str | None]) -> list[Message]:
    """Return the notes on columns that could be covariates; none where no primary estimate takes any.

    Args:
        free: the columns.
        families: family of the primary estimate of each contrast, None where there is none.
    """
    if all(family in _WITHOUT_COVARIATES for family in families):
        return []
    hint = [Message("analysis.candidate-covariates", columns=free.names)] if free.names else []
    return [*hint, *free.notes("suggested")]


def free_candidates(table: ColumnsOnDisk, columns: Mapping[str, Column], roles: RoleMapping) -> Candidates:
    """Return the columns that could be covariates, without those that are infinite or of extreme magnitude."""
    mapped = columns_of(roles)
    beyond = [
        name for name, column in columns.items() if name not in mapped and (column.infinite or is_extreme(column))
    ]
    free = covariate_candidates(table, [column for name, column in columns.items() if name not in beyond], roles)
    if not beyond or "covariates" in roles:
        return free
    return Candidates(names=free.names, excluded={**free.excluded, Message("analysis.beyond-range"): beyond})


def taken_note(free: Candidates) -> Message:
    """Return a note on the covariates chosen by `options.covariates = "auto"`."""
    if free.names:
        return Message("analysis.covariates-taken", columns=free.names)
    return Message("analysis.no-covariate-taken")


def _readings(columns: Mapping[str, Column], names: Sequence[str]) -> list[Message]:
    """Return the notes on parsing the numbers and dates of these columns; all notes where they have no code.

    Data sets that CQOx 0.1.0 stored have notes without codes.
    """
    return [
        Message("analysis.column-note", column=name, note=note)
        for name in names
        for note in columns[name].notes
        if not isinstance(note, Message) or note.code in _OF_VALUES
    ]
