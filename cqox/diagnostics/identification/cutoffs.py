"""Assumptions of a discontinuity: no manipulation, continuity, and those of an instrument where it is fuzzy."""

from collections.abc import Sequence

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.holm import holm
from cqox.diagnostics.identification.entry import Evidence, Judged, assumption
from cqox.diagnostics.identification.instruments import LEVEL, WEAK_F, exclusion
from cqox.diagnostics.tables import Table, number_in, table_in, text_or

__all__ = ["CONTRADICTS", "DETECTABLE", "FEWEST_PLACEBOS", "SUPPORTS", "cutoff_assumptions"]

SUPPORTS, CONTRADICTS = 0.05, 0.001
FEWEST_PLACEBOS = 4
DETECTABLE = 1.0
"""Jump of the density, as a share of its mean at the cutoff, that the test must detect with 80% power to support."""

_HOLE = 0.05
"""Share of the rows within the bandwidth: at a tenth, one good study in twenty leaves the interval by chance."""

_UNBOUNDED = ("whole line", "two rays", "ray")


def cutoff_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a sharp or a fuzzy cutoff."""
    entries = (_no_manipulation(judged), _continuity(judged))
    if judged.chosen.name != "rd_fuzzy":
        return entries
    fuzzy = (_relevance(judged), exclusion(judged))
    return (*entries, *fuzzy, *((_monotonicity(judged),) if judged.plan.data.treatment_kind == "binary" else ()))


def _no_manipulation(judged: Judged) -> Assumption:
    name = "no_manipulation"
    return assumption(
        name, Message("identification.no-manipulation"), _density(judged), declared=judged.declares(name),
        remedy=Message("identification.no-manipulation-remedy"),
    )  # fmt: skip


def _density(judged: Judged) -> Evidence:
    found = table_in(judged.diagnostics, "discontinuity", "manipulation")
    jump, share = number_in(found.get("p_value")), number_in(found.get("detectable_share"))
    heap = number_in(table_in(found, "heap").get("p_value"))
    sentences = []
    if jump is not None and share is not None:
        sentences.append(Message("identification.cutoff-density", p=jump, share=share))
    elif jump is not None:
        sentences.append(Message("identification.cutoff-density-without-power", p=jump))
    if heap is not None:
        sentences.append(Message("identification.cutoff-heap", p=heap))
    smallest = _smallest([jump, heap])
    unmet = []
    if jump is None:
        unmet.append(Message("identification.needs-density"))
    elif share is None:
        unmet.append(Message("identification.needs-density-power"))
    elif share > DETECTABLE:
        unmet.append(Message("identification.needs-smaller-jump", share=share, needed=DETECTABLE))
    if smallest < SUPPORTS:
        unmet.append(Message("identification.needs-smooth-density", p=smallest, needed=SUPPORTS))
    return Evidence(
        sentences=tuple(sentences), supports=not unmet, contradicts=smallest < CONTRADICTS, unmet=tuple(unmet)
    )


def _smallest(values: Sequence[float | None]) -> float:
    """Return the smallest p-value of several tests by Holm; 1 where there are none."""
    return min(holm([value for value in values if value is not None]), default=1.0)


def _continuity(judged: Judged) -> Assumption:
    name = "continuity"
    return assumption(
        name, Message("identification.continuity"), _smoothness(judged), declared=judged.declares(name),
        remedy=Message("identification.continuity-remedy"),
    )  # fmt: skip


def _smoothness(judged: Judged) -> Evidence:
    found = table_in(judged.diagnostics, "discontinuity")
    covariates, placebos = table_in(found, "covariates"), table_in(found, "placebo_cutoffs")
    jump, placebo = (number_in(table.get("adjusted_p_value")) for table in (covariates, placebos))
    tested, placebos_tested = (int(number_in(table.get("tested")) or 0) for table in (covariates, placebos))
    sentences = []
    if jump is not None:
        sentences.append(Message("identification.cutoff-covariates", tested=tested, p=jump))
    if placebo is not None:
        sentences.append(Message("identification.cutoff-placebos", tested=placebos_tested, p=placebo))
    inside, of_donut = _donut(found)
    unmet = _rough(jump, placebo, placebos_tested)
    if not inside:
        unmet.append(Message("identification.needs-donut") if of_donut else Message("identification.needs-any-donut"))
    return Evidence(
        sentences=(*sentences, *of_donut), supports=not unmet,
        contradicts=_smallest([jump, placebo]) < CONTRADICTS, unmet=tuple(unmet),
    )  # fmt: skip


def _rough(jump: float | None, placebo: float | None, placebos: int) -> list[Message]:
    """Return what the covariates lack at the cutoff, or where there are none the placebo cutoffs."""
    if jump is not None:
        return [] if jump >= SUPPORTS else [Message("identification.needs-smooth-covariates", p=jump, needed=SUPPORTS)]
    unmet = []
    if placebo is None or placebos < FEWEST_PLACEBOS:
        unmet.append(Message("identification.needs-placebo-cutoffs", placebos=placebos, needed=FEWEST_PLACEBOS))
    if placebo is not None and placebo < SUPPORTS:
        unmet.append(Message("identification.needs-quiet-placebos", p=placebo, needed=SUPPORTS))
    return unmet


def _donut(found: Table) -> tuple[bool, tuple[Message, ...]]:
    """Return whether the donut estimates of small holes lie inside the interval, and the sentence on one of them."""
    rows = found.get("donut")
    tested = [
        row
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and "outside" in row and (number_in(row.get("share")) or 0.0) <= _HOLE
    ]
    if not tested:
        return False, ()
    shown = next((row for row in tested if row.get("outside") is not False), tested[-1])
    outside = shown.get("outside") is not False
    left_out, estimate = int(number_in(shown.get("rows_left_out")) or 0), number_in(shown.get("estimate")) or 0.0
    if outside:
        return False, (Message("identification.cutoff-donut-outside", rows=left_out, estimate=estimate),)
    return True, (Message("identification.cutoff-donut-inside", rows=left_out, estimate=estimate),)


def _relevance(judged: Judged) -> Assumption:
    return assumption(
        "relevance", Message("identification.relevance"), _strength(judged), declared=False,
        remedy=Message("identification.relevance-remedy"),
    )  # fmt: skip


def _strength(judged: Judged) -> Evidence:
    strength = number_in(table_in(judged.diagnostics, "discontinuity", "first_stage").get("effective_f"))
    kind = text_or(table_in(judged.chosen.diagnostics, "anderson_rubin_robust").get("kind"), "")
    sentences = [] if strength is None else [Message("identification.effective-f", effective_f=strength)]
    if kind in _UNBOUNDED:
        sentences.append(Message("identification.cutoff-unbounded-set"))
    return Evidence(
        sentences=tuple(sentences), supports=strength is not None and strength >= WEAK_F,
        contradicts=kind in _UNBOUNDED,
    )  # fmt: skip


def _monotonicity(judged: Judged) -> Assumption:
    name = "monotonicity"
    against = number_in(table_in(judged.diagnostics, "discontinuity", "first_stage").get("opposite_p_value"))
    sentences = () if against is None else (Message("identification.cutoff-first-stage-halves", p=against),)
    evidence = Evidence(sentences=sentences, contradicts=against is not None and against < LEVEL)
    return assumption(
        name, Message("identification.monotonicity"), evidence, declared=judged.declares(name),
        remedy=Message("identification.monotonicity-remedy"),
    )  # fmt: skip
