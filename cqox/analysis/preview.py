"""A preview of an analysis: its rows, arms, design, plan and power, from the same steps as the report, up to where an
estimator would compute."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cqox import diagnostics as judge
from cqox.analysis.arms import amount_of, arms_of_contrast, counts_of
from cqox.analysis.chosen import chosen_estimators, primary_of, settings_of
from cqox.analysis.design_words import design_in_words
from cqox.analysis.finite import finite
from cqox.analysis.in_engine import InEngine
from cqox.analysis.in_place import in_place
from cqox.analysis.opened import Opened, open_request, suggestions
from cqox.analysis.prepare import Contrast
from cqox.analysis.previewed_power import Whole, previewed_power
from cqox.analysis.row_counts import counted_rows, rows_of
from cqox.analysis.unmapped import Unmapped
from cqox.contract import AnalyzeRequest, SampledRows
from cqox.contract.messages import Message, collect_messages
from cqox.contract.preview import DroppedRows, PlannedEstimator, PreviewedContrast
from cqox.estimators import Estimator, Plan
from cqox.estimators.catalog import reason_against

__all__ = ["preview", "preview_in_place"]


def preview(path: Path, request: AnalyzeRequest, *, threads: int) -> dict[str, object]:
    """Return a preview as JSON values, without `dataset_id`; see `cqox.contract.preview.Preview`.

    Args:
        path: the table, as stored by `cqox.datasets`.
        request: as of the analysis; its `dataset_id` is ignored.
        threads: threads for row passes.

    Raises:
        InvalidRequest: as the analysis would.
        UnusableData: as the analysis would, before it estimates.
    """
    return _previewed(open_request(path, request), None, (), threads)


def preview_in_place(
    place: Mapping[str, object], request: AnalyzeRequest, folder: Path, *, threads: int
) -> dict[str, object]:
    """Return a preview of a table that stays where it is, of a sample where it is not read whole.

    Args:
        place: the table, see `in_place`.
        request: as of the analysis.
        folder: for files that are needed meanwhile.
        threads: threads for row passes.

    Raises:
        InvalidRequest: as the analysis would.
        SourceDown: the table cannot be read.
        UnusableData: as the analysis would, before it estimates.
    """
    with in_place(place, request, folder, threads=threads, after_read=lambda: None) as found:
        return _previewed(found.opened, found.placed, found.notes, threads)


def _previewed(opened: Opened, placed: InEngine | None, about: Sequence[Message], threads: int) -> dict[str, object]:
    """Return the preview of a table, or of the sample of one that an engine sums."""
    with opened.room():
        frame = opened.frame()
        findings, absent = opened.findings(frame)
        prepared = opened.prepared(frame, findings)
        del frame
        unmapped = opened.unmapped(findings)
        contrasts = [_contrast(each, opened, unmapped, threads, placed) for each in prepared.contrasts]
    rows = [each.data.n for each in prepared.contrasts]
    families = {entry.name: entry.family for entry in chosen_estimators(opened.options)}
    hints = suggestions(opened.free, [families.get(each.primary or "") for each in contrasts])
    notes = (*opened.notes, *about, *_of_sample(placed), *absent, *prepared.notes, *hints, *unmapped.absent())
    sample = None if placed is None else SampledRows(rows=placed.frame.height, of=placed.rows).model_dump()
    answer: dict[str, object] = {
        "mapping": {role: list(value) if isinstance(value, tuple) else value for role, value in opened.roles.items()},
        "options": opened.options.model_dump(mode="json"),
        "contrasts": [each.model_dump() for each in contrasts],
        "main": rows.index(max(rows)),
        "findings": [finding.model_dump() for finding in unmapped.found()],
        "notes": list(dict.fromkeys(notes)),
        "sample": sample,
    }
    kept, _ = finite(answer)
    assert isinstance(kept, dict)
    return {**kept, "messages": collect_messages(kept)}


def _of_sample(placed: InEngine | None) -> list[Message]:
    if placed is None:
        return []
    return [Message("sources.preview-of-sample", rows=placed.frame.height, of=placed.rows)]


def _contrast(
    contrast: Contrast, opened: Opened, unmapped: Unmapped, threads: int, placed: InEngine | None
) -> PreviewedContrast:
    options = contrast.options(opened.options)
    plan, chosen = Plan(contrast.data, settings_of(options, threads)), chosen_estimators(options)
    primary = primary_of(plan, chosen, options)
    entry = next((entry for entry in chosen if entry.name == primary.name), None)
    design = None if entry is None else judge.design_of(entry.name, entry.family, plan).name
    # The findings on columns without a role are of this design; `Unmapped` keeps them.
    unmapped.findings(design, plan)
    sample = rows_of(entry, plan)
    adjusts = entry is not None and "covariates" in (*entry.requires, *entry.optional) and plan.has("covariates")
    return PreviewedContrast(
        contrast=contrast.label,
        rows=counted_rows(
            entry, plan, _before(contrast, opened, placed), read=opened.rows if placed is None else placed.frame.height
        ),
        arms=arms_of_contrast(plan, sample, design, contrast.compared),
        amount=amount_of(plan, sample),
        **counts_of(plan, sample),
        design=design,
        statement=design_in_words(design, plan, sample, assignment=options.assignment, adjusts=adjusts),
        primary=primary.name,
        primary_rule=primary.rule,
        estimators=[_planned(each, plan) for each in chosen],
        power=previewed_power(plan, sample, entry, design, options, whole=_whole(placed)),
    )


def _whole(placed: InEngine | None) -> Whole | None:
    if placed is None:
        return None
    return Whole(times=placed.rows / max(placed.frame.height, 1), by_unit=placed.by_unit)


def _planned(entry: Estimator, plan: Plan) -> PlannedEstimator:
    reason = reason_against(entry, plan)
    return PlannedEstimator(
        name=entry.name, family=entry.family, estimand=entry.estimand, runs=reason is None, reason=reason
    )


def _before(contrast: Contrast, opened: Opened, placed: InEngine | None) -> list[DroppedRows]:
    """Return what is left out before the arrays of a contrast are made."""
    dropped = 0 if placed is not None else opened.rows - opened.read.table.height
    others, zero = contrast.of_other_levels, contrast.of_zero_weight
    found = [
        DroppedRows(
            code="dropped_by_options", rows=dropped, alone=None,
            message=Message("preview.rows-dropped-by-options", rows=dropped),
        ),
        DroppedRows(
            code="other_levels", role="treatment", columns=contrast.data.names.get("treatment", ()), rows=others,
            alone=None, message=Message("preview.rows-of-other-levels", rows=others),
        ),
        DroppedRows(
            code="zero_weight", role="weights", columns=contrast.data.names.get("weights", ()), rows=zero, alone=None,
            message=Message("preview.rows-of-zero-weight", rows=zero),
        ),
    ]  # fmt: skip
    return [each for each in found if each.rows]
