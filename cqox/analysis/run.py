"""One complete analysis, from a table on disk to a report, as run in a worker process.

Synchronous; progress is reported through a callback. `cqox.estimators` lists the estimators, `cqox.diagnostics` judges
their agreement, and `cqox.figures` draws them; this module is the sequence of these steps.
"""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import polars as pl

from cqox import diagnostics as judge
from cqox import figures as draw
from cqox.analysis.chosen import chosen_estimators, primary_of, settings_of
from cqox.analysis.finite import finite, finite_estimate, named
from cqox.analysis.in_engine import InEngine, in_engine, wants_engine
from cqox.analysis.in_place import in_place
from cqox.analysis.opened import Opened, open_request, suggestions
from cqox.analysis.prepare import Contrast, Prepared, prepare
from cqox.analysis.refutation import refutation_gate
from cqox.analysis.report import ContrastResult, assemble
from cqox.analysis.unmapped import Unmapped
from cqox.analysis.unused import unused_assignment, unused_roles
from cqox.contract import AnalyzeRequest, Gate, Options, RoleMapping
from cqox.contract.messages import Message, collect_messages, of
from cqox.datasets import capping
from cqox.estimators import Estimate, Estimator, Json, Plan, Settings, catalog, run
from cqox.estimators.numerics.blas_threads import one_blas_thread
from cqox.figures import Figure

__all__ = ["Finished", "StepCallback", "analyze", "analyze_in_place", "warm_up"]

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
        engine: by which sums over the rows were made, with its version; `memory` without one.
    """

    report: dict[str, object]
    specs: dict[str, object]
    rows: int
    rows_used: int
    seconds: dict[str, float]
    engine: str = "memory"


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
            _judge(contrast, settings_of(options, threads=1), catalog(), options, unmapped, clock, 0)
            for contrast in prepared.contrasts
        ]
    )
    draw.warm()


class _Clock:
    """Times the steps and reports them."""

    def __init__(self, on_step: StepCallback) -> None:
        self._on_step = on_step
        self._since = perf_counter()
        self._estimates = self._passes = 0
        self.seconds: dict[str, float] = {}

    def done(self, step: str, **fields: object) -> float:
        now = perf_counter()
        spent, self._since = now - self._since, now
        self.seconds[step] = round(self.seconds.get(step, 0.0) + spent, 6)
        self._on_step({"step": step, "seconds": round(spent, 6), **fields})
        return spent

    def summed(self) -> None:
        """Report a pass of an engine over the table."""
        self._passes += 1
        self.done("sums", passes=self._passes)

    def estimated(self, estimate: Estimate, contrast: str | None, planned: int) -> None:
        """Report an estimate, without a time where it has none; `result` is the body of its own event."""
        self._estimates += 1
        numbers = {
            "contrast": contrast,
            "status": estimate.status,
            "estimate": estimate.estimate,
            "ci_lower": estimate.ci_lower,
            "ci_upper": estimate.ci_upper,
        }
        result = {
            "name": estimate.name,
            "family": estimate.family,
            "estimand": estimate.estimand,
            **numbers,
            "p_value": estimate.p_value,
            "done": self._estimates,
            "planned": planned,
        }
        step = f"estimate.{estimate.name}"
        if estimate.seconds is None:
            self._on_step({"step": step, "seconds": None, **numbers, "result": result})
        else:
            self.done(step, **numbers, result=result)


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
    opened = open_request(path, request)
    summed, notes = wants_engine(opened)
    if summed:
        with in_engine(opened, threads=threads, after_read=clock.summed) as placed:
            return _analyze(placed.opened, placed, [placed.note], threads, clock)
    return _analyze(opened, None, notes, threads, clock)


def analyze_in_place(
    place: Mapping[str, object], request: AnalyzeRequest, folder: Path, *, threads: int, on_step: StepCallback
) -> Finished:
    """Run every analysis that a table supports which stays where it is.

    Args:
        place: the table, see `in_place`.
        request: the client's request.
        folder: for files that are needed meanwhile.
        threads: threads for row passes.
        on_step: called with each step, and with each estimate as it is computed.

    Raises:
        InvalidRequest: the mapping or an option does not fit the table, or needs an upload.
        SourceDown: the table cannot be read.
        UnusableData: the outcome or the treatment does not vary.
    """
    clock = _Clock(on_step)
    with in_place(place, request, folder, threads=threads, after_read=clock.summed) as found:
        return _analyze(found.opened, found.placed, found.notes, threads, clock)


def _analyze(
    opened: Opened, placed: InEngine | None, about: Sequence[Message], threads: int, clock: "_Clock"
) -> Finished:
    """Run the analysis of a table, or of the sample of one that an engine sums.

    Also rules, diagnostics and figures multiply matrices while row passes have the cores, so that the BLAS has one
    thread for all of it.
    """
    with opened.room(), one_blas_thread():
        frame = opened.frame()
        findings, absent = opened.findings(frame)
        clock.done("read", rows=opened.rows)
        prepared = opened.prepared(frame, findings)
        del frame  # only the arrays are needed from here on
        if opened.large:
            _release_heap()
        clock.done("plan", contrasts=len(prepared.contrasts))
        notes = (*opened.notes, *about, *absent, *prepared.notes)
        finished = _finished(prepared, opened, placed, notes, opened.unmapped(findings), threads, clock)
        del prepared
        if opened.large:
            _release_heap()
        return finished


def _release_heap() -> None:
    """Release freed arrays from glibc's heap to the operating system; other allocators have no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _finished(
    prepared: Prepared,
    opened: Opened,
    placed: InEngine | None,
    notes: Sequence[str],
    unmapped: Unmapped,
    threads: int,
    clock: _Clock,
) -> Finished:
    options, roles = opened.options, opened.roles
    settings, chosen = settings_of(options, threads), chosen_estimators(options)
    planned = len(chosen) * len(prepared.contrasts)
    results = [
        _judge(each, settings, chosen, each.options(options), unmapped, clock, planned, number=number, placed=placed)
        for number, each in enumerate(prepared.contrasts)
    ]
    specs = {name: figure.spec for name, figure in _figures(results).items()}
    clock.done("figures", figures=list(specs))
    estimates = [estimate for result in results for estimate in result.estimates]
    notes = [*notes, *suggestions(opened.free, [_family(result) for result in results])]
    unused = [
        note
        for each in results
        for note in unused_assignment(options.assignment, each.decision.primary, each.estimates)
    ]
    notes = [*notes, *dict.fromkeys(unused), *unused_roles(roles, chosen, estimates), *unmapped.absent()]
    report, drawn = _finite(assemble(roles, options, results, notes=notes, findings=unmapped.found()), dict(specs))
    report["messages"] = collect_messages(report)
    rows_used = max((estimate.n or 0 for estimate in estimates), default=0)
    return Finished(
        report=report, specs=drawn, rows=opened.rows, rows_used=rows_used, seconds=dict(clock.seconds),
        engine="memory" if placed is None else placed.source.name,
    )  # fmt: skip


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
    planned: int,
    *,
    number: int = 0,
    placed: InEngine | None = None,
) -> ContrastResult:
    plan = Plan(contrast.data, settings)
    estimated: Callable[[Estimator], Estimate] = partial(run, plan=plan)
    rows, summed = contrast.data.n, frozenset[str]()
    refused: Mapping[str, Message] = {}
    if placed is not None:
        # Before the primary estimate is chosen: the choice depends on panels of all rows, and on what they refuse.
        estimated, rows, summed, refused = placed.estimates(contrast, number, plan, chosen)
    primary = primary_of(plan, chosen, options, refused)
    clock.done("plan")
    estimates: list[Estimate] = []
    for estimator in chosen:
        began = perf_counter()
        found = estimated(estimator)
        # Passes over the rows serve several estimates; their time is that of the step `sums`.
        seconds = None if estimator.name in summed else round(perf_counter() - began, 6)
        estimate = finite_estimate(replace(found, seconds=seconds))
        estimates.append(estimate)
        clock.estimated(estimate, contrast.label, planned)
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
        rows=rows,
        plan=plan,
        estimates=tuple(estimates),
        diagnostics=diagnostics,
        gates=gates,
        decision=decision,
        identification=ledger,
        effect=effect,
    )


def _family(result: ContrastResult) -> str | None:
    """Return the family of the primary estimate of a contrast."""
    return next((each.family for each in result.estimates if each.name == result.decision.primary), None)


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
