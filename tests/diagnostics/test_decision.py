from dataclasses import replace

import pytest

from cqox.contract import Decision, Gate
from cqox.diagnostics import Primary, decide
from cqox.estimators import Estimate
from tests.diagnostics.looking import confounded, judged, mirrored, trial
from tests.estimators.designs import instrumented

PASS = Gate(status="pass", rule="It is so.")
WARN = Gate(status="warn", rule="It is so.", reason="It is hardly so.")
FAIL = Gate(status="fail", rule="It is so.", reason="It is not so.")
NONE = Gate(status="not_applicable", rule="It is so.", reason="It is no matter.")


def decided(
    value: float | None = 1.0, error: float = 0.2, *, gates: tuple[Gate, ...] = (PASS,), better: str = "higher",
    minimum_effect: float = 0.0, alpha: float = 0.05, **fields: object,
) -> Decision:  # fmt: skip
    known = (
        {} if value is None else {"standard_error": error, "ci_lower": value - 2 * error, "ci_upper": value + 2 * error}
    )
    given = {"name": "aipw", "family": "doubly_robust", "estimand": "ATE", "status": "ok", **known, **fields}
    return decide(
        Primary(name="aipw", rule="By the design."), [Estimate(estimate=value, **given)],
        {str(at): gate for at, gate in enumerate(gates)}, better=better, minimum_effect=minimum_effect, alpha=alpha,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [(1.0, 0.2, "GO"), (1.0, 0.6, "CANARY"), (1.0, 1.1, "HOLD"), (-1.0, 0.2, "HOLD"), (0.0, 0.2, "HOLD")],
)
def test_the_interval_decides(value: float, error: float, verdict: str) -> None:
    assert decided(value, error).verdict == verdict
    assert decided(-value, error, better="lower").verdict == verdict


@pytest.mark.parametrize(
    ("gates", "verdict"),
    [((PASS, PASS), "GO"), ((PASS, NONE), "GO"), ((PASS, WARN), "CANARY"), ((WARN, FAIL), "HOLD"), ((FAIL,), "HOLD")],
)
def test_gates_hold_back_what_the_interval_would_allow(gates: tuple[Gate, ...], verdict: str) -> None:
    found = decided(gates=gates)
    assert found.verdict == verdict
    for gate in gates:
        fields = gate.reason is not None and any(gate.reason in reason for reason in found.reasons)
        assert fields == (gate.status in {"warn", "fail"})


def test_the_minimum_effect_raises_the_bar_in_the_good_direction() -> None:
    assert decided(1.0, 0.2, minimum_effect=0.5).verdict == "GO"
    assert decided(1.0, 0.2, minimum_effect=0.7).verdict == "CANARY"
    assert decided(1.0, 0.2, minimum_effect=2.0).verdict == "HOLD"
    assert decided(-1.0, 0.2, better="lower", minimum_effect=0.5).verdict == "GO"
    assert decided(-1.0, 0.2, better="lower", minimum_effect=2.0).verdict == "HOLD"


def test_a_negative_minimum_allows_a_small_harm() -> None:
    assert decided(0.0, 0.2, minimum_effect=-0.5).verdict == "GO"


def test_without_a_number_there_is_nothing_to_go_by() -> None:
    found = decided(None, status="skipped", reason="It needs an instrument.")
    assert found.verdict == "HOLD"
    assert "It needs an instrument." in found.reasons[0]
    nobody = decide(
        Primary(name=None, rule="Nothing applies."), [], {}, better="higher", minimum_effect=0.0, alpha=0.05
    )
    assert (nobody.verdict, nobody.primary) == ("HOLD", None)


def test_an_interval_without_an_end_is_read_from_the_other() -> None:
    assert decided(ci_upper=None).verdict == "GO"
    assert decided(ci_upper=None, better="lower").verdict == "HOLD"
    assert decided(ci_lower=None).verdict == "CANARY"
    assert decided(ci_lower=None, ci_upper=None).verdict == "HOLD"


def test_an_instrument_is_read_by_its_anderson_rubin_set() -> None:
    for pieces, verdict in (
        ([[0.5, 1.6]], "GO"),
        ([[-0.1, 1.6]], "CANARY"),
        ([[None, None]], "HOLD"),
        ([[0.2, None]], "GO"),
        ([[None, -3.0], [0.2, None]], "HOLD"),
    ):
        found = decided(name="aipw", family="instruments", diagnostics={"anderson_rubin_robust": {"intervals": pieces}})
        assert found.verdict == verdict
        assert "Anderson-Rubin" in found.reasons[0]


def test_the_number_of_looks_is_reported() -> None:
    seen = judged(trial())
    computed = sum(estimate.estimate is not None for estimate in seen.estimates)
    assert seen.decision.estimates_computed == computed > 5
    assert "not independent" in seen.decision.note
    assert str(computed) in seen.decision.note


def test_one_estimate_is_no_number_of_looks() -> None:
    assert decided().note == "1 estimate was computed. The decision uses the primary alone."
    assert decided(None).note == "No estimate was computed. The decision uses the primary alone."


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.001])
def test_the_level_of_the_interval_is_reported(alpha: float) -> None:
    assert f"with the {100 * (1 - alpha):g}% interval" in decided(alpha=alpha).reasons[0]


@pytest.mark.parametrize("effect", [-1.0, -0.1, 0.0, 0.1, 1.0])
@pytest.mark.parametrize("minimum_effect", [0.0, 0.2])
def test_better_lower_on_the_mirrored_outcome_decides_the_same(effect: float, minimum_effect: float) -> None:
    for make in (trial, confounded):
        data = make(500, 3, effect=effect)
        one = judged(data, better="higher", minimum_effect=minimum_effect).decision
        other = judged(mirrored(data), better="lower", minimum_effect=minimum_effect).decision
        assert one.verdict == other.verdict
        assert one.reasons[1:] == other.reasons[1:] or one.verdict == "HOLD"


def test_the_verdict_follows_the_data() -> None:
    assert judged(trial(600, effect=1.0)).decision.verdict == "GO"
    assert judged(trial(600, effect=-1.0)).decision.verdict == "HOLD"
    assert judged(trial(600, effect=1.0), better="lower").decision.verdict == "HOLD"
    assert judged(confounded(strength=4.0, effect=1.0)).decision.verdict == "HOLD"
    assert judged(instrumented(2000)).decision.verdict == "GO"
    assert judged(instrumented(500, strength=0.02)).decision.verdict == "HOLD"


def test_the_other_estimates_have_no_vote() -> None:
    seen = judged(trial(600, effect=1.0))
    others = [replace(each, estimate=-9.0) if each.name == "ols_adjustment" else each for each in seen.estimates]
    again = decide(seen.primary, others, seen.gates, better="higher", minimum_effect=0.0, alpha=0.05)
    assert again.verdict == seen.decision.verdict == "GO"
