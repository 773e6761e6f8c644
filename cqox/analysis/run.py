"""One complete analysis, from a table on disk to a report, as run in a worker process.

Synchronous; progress is reported through a callback. `cqox.estimators` lists the estimators, `cqox.diagnostics` judges
their agreement, and `cqox.figures` draws them; this module is the sequence of these steps.
"""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import polars as pl

from cqox import diagnostics as judge
from cqox import figures as draw
from cqox.analysis.data_findings import data_findings
from cqox.analysis.finite import finite, finite_estimate, named
from cqox.analysis.magnitudes import is_extreme, refuse_extreme, refuse_infinite
from cqox.analysis.mapping import by_names, check_mapping, columns_of
from cqox.analysis.prepare import Contrast, Prepared, prepare
from cqox.analysis.refutation import refutation_gate
from cqox.analysis.remedies import remedied
from cqox.analysis.report import ContrastResult, assemble
from cqox.analysis.roles import Columns, Rows
from cqox.analysis.suggested_covariates import Candidates, covariate_candidates
from cqox.analysis.unmapped import Unmapped
from cqox.analysis.unused import unused_assignment, unused_roles
from cqox.contract import ROLES, AnalyzeRequest, DataFinding, EstimationOptions, Gate, Options, RoleMapping
from cqox.contract.messages import Message, collect_messages, joined, of
from cqox.datasets import Column, ColumnsOnDisk, capping, describe
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Estimator, Json, Plan, Settings, applicable, catalog, entries, run
from cqox.estimators.numerics.array_store import in_files
from cqox.figures import Figure

__all__ = ["Finished", "StepCallback", "analyze", "warm_up"]

_MOST_CELLS = 6_000_000
"""Number of mapped cells up to which an analysis runs in memory; beyond, its large arrays are in files."""

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

type StepCallback = Callable[[dict[str, object]], None]
"""Called with each step as it is reached: a JSON object with `step` and its data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished analysis.

    Attributes:
        report: the report without `analysis_id`, `figures` and `provenance`, JSON values.
        specs: figure name to Vega-Lite specification.
        rows: number of rows of the data set.
        rows_used: maximum number of rows used by an estimator.
        seconds: duration of each step.
    """

    report: dict[str, object]
    specs: dict[str, object]
    rows: int
    rows_used: int
    seconds: dict[str, float]


def warm_up() -> None:
    """Run a complete analysis of a few synthetic rows, so that the first real one waits for no import."""
    rows = 64
    x = [float(number * 37 % 29) for number in range(rows)]
    w = [float(number * 17 % 7 < 3) for number in range(rows)]
    y = [2.0 * treated + 0.1 * value + number % 5 for number, (treated, value) in enumerate(zip(w, x, strict=True))]
    frame = pl.DataFrame({"y": y, "w": w, "x": x, "g": [number % 8 for number in range(rows)]})
    frame = frame.with_columns(p=pl.Series([number % 2 for number in range(rows)]))
    roles: RoleMapping = {"y": "y", "treatment": "w", "covariates": ("x",), "instrument": ("p",)}
    options = Options()  # type: ignore[call-arg]
    prepared = prepare(frame, {}, roles, options)
    clock, unmapped = _Clock(lambda _: None), Unmapped(frame.select, {}, roles, options)
    _figures(
        [
            _judge(contrast, _settings(options, threads=1), catalog(), options, unmapped, clock)
            for contrast in prepared.contrasts
        ]
    )
    draw.warm()


class _Clock:
    """Times the steps and reports them."""

    def __init__(self, on_step: StepCallback) -> None:
        self._on_step = on_step
        self._since = perf_counter()
        self.seconds: dict[str, float] = {}

    def done(self, step: str, **fields: object) -> float:
        now = perf_counter()
        spent, self._since = now - self._since, now
        self.seconds[step] = round(self.seconds.get(step, 0.0) + spent, 6)
        self._on_step({"step": step, "seconds": round(spent, 6), **fields})
        return spent


def analyze(path: Path, request: AnalyzeRequest, *, threads: int, on_step: StepCallback) -> Finished:
    """Run every analysis that these data support.

    Args:
        path: the table, as stored by `cqox.datasets`.
        request: the client's request; its `dataset_id` is ignored.
        threads: threads for row passes.
        on_step: called with each step, and with each estimate as it is computed.

    Raises:
        InvalidRequest: the mapping or an option names something that does not exist or cannot play its role.
        UnusableData: the outcome or the treatment does not vary.
    """
    clock = _Clock(on_step)
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
    free = _candidates(read.table, columns, roles)
    if options.covariates == "auto" and "covariates" not in roles:
        notes += [_taken(free), *free.notes("taken")]
        merged = {**roles, "covariates": free.names} if free.names else roles
        roles, free = {role: merged[role] for role in ROLES if role in merged}, Candidates(names=(), excluded={})
    mapped = columns_of(roles)
    notes += _readings(columns, mapped)
    large = read.table.height * len(mapped) > _MOST_CELLS
    with in_files(path.parent if large else None):
        frame = read.table if large else read.table.load(mapped)
        findings, absent = data_findings(described, read, frame, roles, options)
        notes += absent
        clock.done("read", rows=described.rows)
        prepared = _prepared(frame, columns, roles, options, findings)
        del frame  # only the arrays are needed from here on
        if large:
            _release_heap()
        clock.done("plan", contrasts=len(prepared.contrasts))
        notes += prepared.notes
        unmapped = Unmapped(read.table.load, columns, roles, options, others=findings)
        finished = _finished(prepared, options, roles, notes, free, unmapped, described.rows, threads, clock)
        del prepared
        if large:
            _release_heap()
        return finished


def _prepared(
    frame: Rows, columns: Columns, roles: RoleMapping, options: Options, findings: Sequence[DataFinding]
) -> Prepared:
    """Return the arrays of each contrast; of data that cannot be used, say which findings may be why."""
    try:
        return prepare(frame, columns, roles, options)
    except UnusableData as error:
        limiting = capping(findings)
        if not limiting:
            raise
        sentences = joined([of(error.detail), *(of(finding.message) for finding in limiting)])
        raise UnusableData(sentences, field=error.field, choices=error.choices) from error


def _release_heap() -> None:
    """Release freed arrays from glibc's heap to the operating system; other allocators have no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _finished(
    prepared: Prepared,
    options: Options,
    roles: RoleMapping,
    notes: Sequence[str],
    free: Candidates,
    unmapped: Unmapped,
    rows: int,
    threads: int,
    clock: _Clock,
) -> Finished:
    settings, chosen = _settings(options, threads), _chosen(options)
    results = [
        _judge(each, settings, chosen, _of_contrast(options, each), unmapped, clock) for each in prepared.contrasts
    ]
    specs = {name: figure.spec for name, figure in _figures(results).items()}
    clock.done("figures", figures=list(specs))
    estimates = [estimate for result in results for estimate in result.estimates]
    if not all(_takes_no_covariates(result) for result in results):
        hint = [Message("analysis.candidate-covariates", columns=free.names)] if free.names else []
        notes = [*notes, *hint, *free.notes("suggested")]
    unused = [
        note
        for each in results
        for note in unused_assignment(options.assignment, each.decision.primary, each.estimates)
    ]
    notes = [*notes, *dict.fromkeys(unused), *unused_roles(roles, chosen, estimates), *unmapped.absent()]
    report, drawn = _finite(assemble(roles, options, results, notes=notes, findings=unmapped.found()), dict(specs))
    report["messages"] = collect_messages(report)
    rows_used = max((estimate.n or 0 for estimate in estimates), default=0)
    return Finished(report=report, specs=drawn, rows=rows, rows_used=rows_used, seconds=dict(clock.seconds))


def _finite(report: dict[str, object], specs: dict[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Return report and figures with null for non-finite numbers, and a warning in the report that names them."""
    (kept, lost), (drawn, left_out) = finite(report), finite(specs, "figures")
    assert isinstance(kept, dict)
    assert isinstance(drawn, dict)
    if lost or left_out:
        warnings = kept["warnings"]
        assert isinstance(warnings, list)
        words = Message("analysis.not-finite", names=named([*lost, *left_out]))
        kept = {**kept, "warnings": [*warnings, words]}
    return kept, drawn


def _judge(
    contrast: Contrast,
    settings: Settings,
    chosen: Sequence[Estimator],
    options: Options,
    unmapped: Unmapped,
    clock: _Clock,
) -> ContrastResult:
    plan = Plan(contrast.data, settings)
    primary = judge.choose_primary(plan, applicable(chosen, plan), options.primary, assignment=options.assignment)
    judge.check_assumes(primary.name, plan, options)
    clock.done("plan")
    estimates: list[Estimate] = []
    for estimator in chosen:
        began = perf_counter()
        estimate = finite_estimate(replace(run(estimator, plan), seconds=round(perf_counter() - began, 6)))
        estimates.append(estimate)
        clock.done(
            f"estimate.{estimator.name}",
            contrast=contrast.label,
            status=estimate.status,
            estimate=estimate.estimate,
            ci_lower=estimate.ci_lower,
            ci_upper=estimate.ci_upper,
        )
    diagnostics = judge.diagnose(plan, estimates, primary=primary, options=options)
    gates = {
        **judge.gates(diagnostics, estimates, primary, options),
        **_refuted(diagnostics, estimates, primary, options),
    }
    chosen_one = next((estimate for estimate in estimates if estimate.name == primary.name), None)
    findings = unmapped.findings(None if chosen_one is None else _design(chosen_one, plan), plan)
    ledger = judge.identify(plan, chosen_one, estimates, diagnostics, options, findings)
    effect, limiting = judge.effect(plan, chosen_one), capping(findings)
    decision = judge.decide(
        primary,
        estimates,
        gates,
        better=options.better,
        minimum_effect=options.minimum_effect,
        alpha=options.alpha,
        identification=ledger,
        headline=judge.headline(
            effect,
            ledger,
            contrast=contrast.label,
            continuous=plan.data.treatment_kind == "continuous",
            alpha=options.alpha,
            differ=next((found.columns for found in findings if found.code == "arms-differ"), ()),
            failing=[name for name, gate in gates.items() if gate.status == "fail"],
            findings=[found.code for found in limiting if found.code != "arms-differ"],
        ),
        findings=[of(found.message) for found in limiting],
    )
    clock.done("diagnostics", contrast=contrast.label)
    return ContrastResult(
        label=contrast.label,
        plan=plan,
        estimates=tuple(estimates),
        diagnostics=diagnostics,
        gates=gates,
        decision=decision,
        identification=ledger,
        effect=effect,
    )


def _of_contrast(options: Options, contrast: Contrast) -> Options:
    """Return the options with the planned share of a contrast in place of those of all levels."""
    return options.model_copy(update={"expected_share": contrast.expected_share})


def _design(chosen: Estimate, plan: Plan) -> str:
    return judge.design_of(chosen.name, chosen.family, plan).name


def _refuted(
    diagnostics: Mapping[str, Json], estimates: Sequence[Estimate], primary: judge.Primary, options: Options
) -> dict[str, Gate]:
    """Return the gate on refutations by its name; empty unless refutations were requested."""
    chosen = next((estimate for estimate in estimates if estimate.name == primary.name), None)
    gate = refutation_gate(diagnostics, chosen, replications=options.refute)
    return {} if gate is None else {"refutation": gate}


def _figures(results: Sequence[ContrastResult]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for number, result in enumerate(results):
        drawn = draw.draw(
            result.plan,
            result.estimates,
            result.diagnostics,
            primary=result.decision.primary,
            contrast=result.label,
        )
        for name, figure in drawn.items():
            figures[name if number == 0 else f"{name}-{number + 1}"] = figure
    return figures


def _settings(options: Options, threads: int) -> Settings:
    asked = {name: getattr(options, name) for name in EstimationOptions.model_fields}
    named = frozenset(options.estimators or ()) | ({options.primary} if options.primary else frozenset())
    return Settings(**asked, named=named, threads=threads)


def _chosen(options: Options) -> tuple[Estimator, ...]:
    """Return the estimators to run, in catalog order; their names were validated with the request."""
    usual = {estimator.name: estimator for estimator in catalog()}
    known = {estimator.name: estimator for estimator in entries()} | usual
    wanted = {*(usual if options.estimators is None else options.estimators), options.primary}
    return tuple(estimator for name, estimator in known.items() if name in wanted)


def _candidates(table: ColumnsOnDisk, columns: Mapping[str, Column], roles: RoleMapping) -> Candidates:
    """Return the columns that could be covariates, without those that are infinite or of extreme magnitude."""
    mapped = columns_of(roles)
    beyond = [
        name for name, column in columns.items() if name not in mapped and (column.infinite or is_extreme(column))
    ]
    free = covariate_candidates(table, [column for name, column in columns.items() if name not in beyond], roles)
    if not beyond or "covariates" in roles:
        return free
    return Candidates(names=free.names, excluded={**free.excluded, Message("analysis.beyond-range"): beyond})


def _taken(free: Candidates) -> Message:
    """Return a note on the covariates chosen by `options.covariates = "auto"`."""
    if free.names:
        return Message("analysis.covariates-taken", columns=free.names)
    return Message("analysis.no-covariate-taken")


def _takes_no_covariates(result: ContrastResult) -> bool:
    primary = result.decision.primary
    return any(each.name == primary and each.family in _WITHOUT_COVARIATES for each in result.estimates)


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
