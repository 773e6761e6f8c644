"""Assumptions of comparisons over time."""

from collections.abc import Callable

import numpy as np
import pytest

from cqox.contract.messages import Message
from cqox.diagnostics.identification.trends import switching_assumptions, trend_assumptions
from cqox.estimators import Data, Json
from tests.diagnostics import looking
from tests.diagnostics.identification.judging import judged
from tests.diagnostics.identification.simulated_panels import Block, feedback, low_before, rollout, switching
from tests.diagnostics.looking import Judgement, sentence
from tests.estimators.designs import two_periods
from tests.validation import Validated, record

DECLARED = ["parallel_trends", "no_anticipation"]
DIDS = ("did_2x2_block", "twfe", "did_callaway_santanna", "did_imputation")


def table(**changes: Json) -> dict[str, Json]:
    """Leads that support parallel trends, but for these."""
    before: dict[str, Json] = {
        "p_value": 0.4, "periods_before": 4, "detectable_slope": 0.1, "dip": {"p_value": 0.5, "estimate": 0.1},
        "periods_treated": {"from_last": 2.0, "from_mean": 4.0},
        "last_change": {"estimate": 0.1, "p_value": 0.3, "detectable": 0.5},
    }  # fmt: skip
    return before | changes


def unmet(before: dict[str, Json], *, breakdown: Json = 1.2) -> list[str]:
    """Return the sentences on conditions of support that these leads do not meet."""
    honest: dict[str, Json] = {"first": {"breakdown": breakdown}}
    found = judged("did_2x2_block", "did", diagnostics={"pre_trends": before, "event_study": {"honest": honest}})
    lines = [line for entry in trend_assumptions(found) for line in entry.evidence]
    return [line for line in lines if line.startswith("'supported' needs")]


def statuses(before: dict[str, Json], *, breakdown: Json = 1.2, **options: object) -> list[str]:
    honest: dict[str, Json] = {"first": {"breakdown": breakdown}, "average": {"breakdown": 0.3}}
    found = judged(
        "did_2x2_block", "did", diagnostics={"pre_trends": before, "event_study": {"honest": honest}}, **options
    )
    return [entry.status for entry in trend_assumptions(found)]


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    entries = trend_assumptions(judged("did_2x2_block", "did"))
    assert [(entry.name, entry.status) for entry in entries] == [
        ("parallel_trends", "untested"),
        ("no_anticipation", "untested"),
    ]
    assert all(entry.remedy for entry in entries)


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    entries = trend_assumptions(judged("did_2x2_block", "did", assumes=DECLARED))
    assert [entry.name for entry in entries if entry.status == "declared"] == DECLARED
    assert statuses(table(p_value=0.02), assumes=DECLARED) == ["declared", "supported"]
    assert statuses(table(p_value=0.02), assignment="randomized") == ["declared", "supported"]
    assert statuses(table(p_value=0.009), assumes=DECLARED) == ["contradicted", "supported"]
    line: dict[str, Json] = {"p_value": 0.004, "estimate": 0.2, "detectable": 0.05}
    assert statuses(table(trend=line), assumes=DECLARED) == ["contradicted", "supported"]
    assert statuses(table(trend=line | {"p_value": 0.006}), assumes=DECLARED) == ["declared", "supported"]


def test_a_trend_is_detectable_by_the_more_powerful_test() -> None:
    line: dict[str, Json] = {"p_value": 0.6, "estimate": 0.02, "detectable": 0.2}
    assert statuses(table(detectable_slope=0.3)) == ["untested", "supported"]
    assert statuses(table(detectable_slope=0.3, trend=line)) == ["supported", "supported"]


def test_the_past_supports_what_it_had_the_power_to_contradict() -> None:
    assert statuses(table()) == ["supported", "supported"]
    assert statuses(table(), breakdown=None) == ["supported", "supported"]


@pytest.mark.parametrize(
    "weak",
    [
        {"periods_before": 2}, {"p_value": 0.04}, {"detectable_slope": 0.26}, {"detectable_slope": None},
        {"dip": {"p_value": 0.024, "estimate": 0.1}}, {"trend": {"p_value": 0.04, "estimate": 0.1}, "dip": {}},
    ],
)  # fmt: skip
def test_each_weakness_leaves_parallel_trends_untested(weak: dict[str, Json]) -> None:
    assert statuses(table(**weak)) == ["untested", "supported"]
    assert len(unmet(table(**weak))) == 1


def test_the_condition_that_is_not_met_is_named_with_both_numbers() -> None:
    assert unmet(table()) == []
    assert unmet(table(periods_before=2, detectable_slope=0.3), breakdown=0.5) == [
        "'supported' needs 3 periods before treatment or more; there are 2.",
        "'supported' needs a detectable trend that moves the estimate by less than 1, its distance from the minimum "
        "effect; it would move it by 1.2.",
        "'supported' needs a HonestDiD breakdown of 1 or more; it is 0.5.",
    ]
    change: dict[str, Json] = {"estimate": 0.1, "p_value": 0.049, "detectable": 0.5}
    assert unmet(table(last_change=change)) == [
        "'supported' needs p of 0.05 or more for the last change before treatment; it is 0.049."
    ]


def test_a_conclusion_that_breaks_down_early_is_untested() -> None:
    assert statuses(table(), breakdown=0.99) == ["untested", "supported"]


def test_group_time_effects_start_from_the_last_period_before() -> None:
    honest: dict[str, Json] = {"first": {"breakdown": 1.0}}
    found = judged(
        "did_callaway_santanna", "did_staggered",
        diagnostics={"pre_trends": table(detectable_slope=0.4), "event_study": {"honest": honest}},
    )  # fmt: skip
    assert trend_assumptions(found)[0].status == "supported"


def test_the_minimum_effect_counts_in_what_must_be_detectable() -> None:
    assert statuses(table(), minimum_effect=0.4) == ["supported", "supported"]
    assert statuses(table(), minimum_effect=0.7) == ["untested", "untested"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"p_value": 0.05, "detectable": 0.99}, "supported"), ({"p_value": 0.049, "detectable": 0.5}, "untested"),
        ({"p_value": 0.5, "detectable": 1.0}, "untested"), ({"p_value": 0.0099, "detectable": 0.5}, "contradicted"),
        ({"p_value": None, "detectable": None}, "untested"),
    ],
)  # fmt: skip
def test_the_last_change_before_treatment_speaks_of_anticipation(change: dict[str, Json], status: str) -> None:
    assert statuses(table(last_change={"estimate": 0.1, **change}))[1] == status


def test_each_test_is_one_sentence() -> None:
    honest: dict[str, Json] = {"first": {"breakdown": 2.0}}
    line: dict[str, Json] = {"p_value": 0.7, "estimate": 0.02, "detectable": 0.2}
    found: dict[str, Json] = {"pre_trends": table(trend=line), "event_study": {"honest": honest}}
    entry = trend_assumptions(judged("twfe", "did", diagnostics=found))[0]
    assert [sentence(each) for each in entry.evidence] == [
        ("identification.trends-joint", {"periods": 4.0, "p": 0.4}),
        ("identification.trends-line", {"slope": 0.02, "p": 0.7}),
        ("identification.trends-dip", {"dip": 0.1, "p": 0.5}),
        ("identification.trends-slope", {"slope": 0.1, "periods": 4.0, "moved": 0.4, "seen": 1.0}),
        ("identification.trends-honest", {"breakdown": 2.0}),
    ]


def test_the_reason_why_there_is_no_test_is_the_evidence() -> None:
    reason = Message("diagnostics.too-few-for-leads-test")
    entries = trend_assumptions(judged("did_2x2", "did", diagnostics={"pre_trends": {"reason": reason}}))
    assert [entry.evidence for entry in entries] == [(reason,), (reason,)]


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ({"p_value": 0.5, "detectable": 0.4}, "supported"), ({"p_value": 0.5, "detectable": 0.41}, "untested"),
        ({"p_value": 0.04, "detectable": 0.3}, "untested"), ({"p_value": 0.009, "detectable": 0.9}, "contradicted"),
    ],
)  # fmt: skip
def test_past_outcomes_speak_of_feedback(found: dict[str, Json], status: str) -> None:
    fields: dict[str, Json] = {"difference": 0.1, "sd": 2.0, **found}
    entry = switching_assumptions(judged("panel_matching", "panel_matching", diagnostics={"feedback": fields}))[1]
    assert (entry.name, entry.status) == ("no_feedback", status)


def test_two_periods_can_be_declared_but_not_tested() -> None:
    seen = looking.judged(two_periods(), only=["did_2x2"], assignment="unknown")
    assert entry_of(seen, "parallel_trends") == entry_of(seen, "no_anticipation") == "untested"
    declared = looking.judged(two_periods(), only=["did_2x2"], assignment="unknown", assumes=DECLARED)
    assert entry_of(declared, "parallel_trends") == entry_of(declared, "no_anticipation") == "declared"
    assert (seen.decision.verdict, declared.decision.verdict) == ("CANARY", "GO")


def entry_of(seen: Judgement, name: str) -> str:
    assert seen.identification is not None
    return next(entry.status for entry in seen.identification.assumptions if entry.name == name)


def of(data: Data, **options: object) -> Judgement:
    ons = ("panel_matching", "twfe") if options.pop("switches", False) else DIDS
    return looking.judged(data, only=ons, **{"assignment": "unknown", **options})  # type: ignore[arg-type]


def test_a_long_quiet_past_supports_a_clear_effect() -> None:
    seen = of(Block(units=80, before=8, effect=3.0).drawn(1))
    assert entry_of(seen, "parallel_trends") == entry_of(seen, "no_anticipation") == "supported"
    assert seen.decision.verdict == "GO"


def test_starts_after_bad_periods_contradict() -> None:
    seen = of(feedback(0), switches=True, assumes=["parallel_trends", "no_feedback"])
    assert entry_of(seen, "no_feedback") == entry_of(seen, "parallel_trends") == "contradicted"
    assert seen.decision.verdict == "HOLD"


_GOOD: dict[str, tuple[Callable[[int], Data], dict[str, object]]] = {
    "block of 40 units, effect of 4.5 standard errors, declared": (
        Block(units=40, effect=1.3).drawn, {"assumes": DECLARED}
    ),
    "block of 200 units, effect of 4.5 standard errors, declared": (
        Block(units=200, effect=0.55).drawn, {"assumes": DECLARED}
    ),
    "block of 60 units, eight periods before, effect of 12 standard errors, nothing declared": (
        Block(units=60, before=8, effect=2.6).drawn, {}
    ),
    "staggered, effect of 4.5 standard errors, declared": (lambda n: rollout(n, effect=0.9), {"assumes": DECLARED}),
    "on and off, effect of 4.5 standard errors, declared": (
        lambda n: switching(n, effect=0.63), {"assumes": ["parallel_trends", "no_feedback"], "switches": True}
    ),
}  # fmt: skip

_BAD: dict[str, tuple[Callable[[int], Data], dict[str, object]]] = {
    **{
        f"trends part, bias of {size} standard errors, {before} periods before": (
            Block(units=60, before=before, slope=size * 0.24 * 2 / (before + 4)).drawn, {}
        )
        for size in (2, 4, 6) for before in (4, 8)
    },
    "anticipation, trends declared": (
        Block(units=60, before=6, early=-0.8).drawn,
        {"assumes": ["parallel_trends"], "requested": "did_callaway_santanna"},
    ),
    "a bad last period starts treatment": (low_before, {"requested": "did_callaway_santanna"}),
    "staggered, a dip before the start": (lambda n: rollout(n, early=-0.7), {}),
    "staggered, early starters grow faster": (lambda n: rollout(n, slope=0.1), {}),
    "on and off, a bad period starts treatment": (
        feedback, {"assumes": ["parallel_trends"], "switches": True, "requested": "panel_matching"}
    ),
}  # fmt: skip


def rate_of_go(draw: Callable[[int], Data], options: dict[str, object], runs: int) -> float:
    return float(np.mean([of(draw(number), **options).decision.verdict == "GO" for number in range(runs)]))


def noted(design: str, runs: int, rate: float) -> None:
    record(
        Validated(
            design="Verdicts on comparisons over time", estimator=design, replications=runs, rows=0,
            note=f"GO in {rate:.1%} of the runs",
        )
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", _GOOD)
def test_good_studies_pass(name: str) -> None:
    draw, options = _GOOD[name]
    rate = rate_of_go(draw, options, 100)
    noted(name, 100, rate)
    assert rate >= 0.85


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", _BAD)
def test_studies_without_an_effect_do_not(name: str) -> None:
    draw, options = _BAD[name]
    rate = rate_of_go(draw, options, 100)
    noted(name, 100, rate)
    assert rate <= 0.05
