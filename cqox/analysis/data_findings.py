"""Data findings of an analysis: those of the upload that are not settled yet, and those that need a mapping."""

from collections.abc import Sequence
from dataclasses import replace

from cqox.analysis.mapping import columns_of, names_in
from cqox.analysis.remedies import Remedied
from cqox.analysis.roles import Rows
from cqox.analysis.unmapped import UNMAPPED_CODES
from cqox.contract import DataFinding, Options, RoleMapping
from cqox.contract.messages import Message
from cqox.datasets import Description, detect_rows, of_roles, period_of_role, with_accepted

__all__ = ["data_findings"]

_OF_PERIODS = {"ordered-periods", "ambiguous-periods"}
_OF_FORMATS = {*_OF_PERIODS, "mixed-dates"}
_OF_ROWS = {"totals-rows", "sum-rows", "duplicate-rows"}
_OF_COLUMNS = {"mixed-dates", "yes-or-blank", "merged-cells", "wide-panel"}
_PERIODS = ("time", "cohort")
_ADJUSTED = ("covariates", "propensity_covariates")


def data_findings(
    description: Description, remedied: Remedied, mapped: Rows, roles: RoleMapping, options: Options
) -> tuple[list[DataFinding], list[Message]]:
    """Return the findings of a report, and a note on each accepted code that is absent.

    A finding on columns without a role caps nothing. Data sets that CQOx 0.1.0 stored have none of the upload.

    Args:
        description: the stored table.
        remedied: the table as the options have it read.
        mapped: its mapped columns.
        roles: canonical role to mapped columns or value.
        options: of the request.
    """
    found = [finding for finding in _left(description, remedied, options) if not _is_settled(finding, options)]
    found += _of_mapping(found, mapped, roles, options)
    accepted = [code for code in options.accept or () if code not in UNMAPPED_CODES]
    return with_accepted([_weighed(finding, roles) for finding in found], accepted)


def _left(description: Description, remedied: Remedied, options: Options) -> list[DataFinding]:
    """Return the findings of the upload; those of rows are looked for again if rows were dropped."""
    stored = list(description.findings)
    if not options.drop_rows or not any(finding.code in _OF_ROWS for finding in stored):
        return stored
    frame = remedied.table.load([column.name for column in description.columns])
    columns = [
        replace(
            column,
            distinct=frame[column.name].drop_nulls().n_unique(),
            missing=frame[column.name].null_count(),
            count=frame.height - frame[column.name].null_count(),
        )
        for column in (remedied.columns[name] for name in frame.columns)
    ]
    return [*detect_rows(frame, columns), *(finding for finding in stored if finding.code not in _OF_ROWS)]


def _is_settled(finding: DataFinding, options: Options) -> bool:
    if finding.code in _OF_FORMATS:
        return set(finding.columns) <= (options.period_formats or {}).keys()
    return finding.code == "yes-or-blank" and set(finding.columns) <= set(options.yes_no or ())


def _of_mapping(found: Sequence[DataFinding], mapped: Rows, roles: RoleMapping, options: Options) -> list[DataFinding]:
    known = {name for finding in found if finding.code in _OF_FORMATS for name in finding.columns}
    periods = [
        period
        for role in _PERIODS
        for name in names_in(roles.get(role, ()))
        if name not in known and (period := period_of_role(mapped[name])) is not None
    ]
    outcome = roles.get("y", roles.get("reward"))
    covariates = dict.fromkeys(name for role in _ADJUSTED for name in names_in(roles.get(role, ())))
    of_covariates = of_roles(
        mapped.__getitem__,
        outcome=outcome if isinstance(outcome, str) else None,
        covariates=list(covariates),
        options=options,
    )
    return [*periods, *of_covariates]


def _weighed(finding: DataFinding, roles: RoleMapping) -> DataFinding:
    """Return a finding that changes no answer of this mapping as a note."""
    columns = set(finding.columns)
    periods = {name for role in _PERIODS for name in names_in(roles.get(role, ()))}
    unplayed = (
        (finding.code in _OF_PERIODS and not columns & periods)
        or (finding.code in _OF_COLUMNS and not columns & set(columns_of(roles)))
        # Rows of a log of a policy repeat by nature: a context, an action and its probability.
        or (finding.code == "duplicate-rows" and "action" in roles)
    )
    return finding.model_copy(update={"severity": "note"}) if unplayed else finding
