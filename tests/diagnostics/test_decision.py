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


def reasons(value: float | None = 1.0, error: float = 0.2, **more: object) -> tuple[str, ...]:
    return decided(value, error, **more).reasons


def test_each_reading_of_the_interval_has_its_sentence() -> None:
    passes = "Every gate that applies passes."
    seen = "The gain is 1, its 95% interval"
    assert reasons() == (f"{seen} [0.6, 1.4]: all of it is above the minimum effect of 0.", passes)
    assert reasons(minimum_effect=1.4) == (f"{seen} [0.6, 1.4]: none of it is above the minimum effect of 1.4.",)
    assert reasons(minimum_effect=0.75) == (
        f"{seen} [0.6, 1.4]: the estimate is at least one standard error above the minimum effect of 0.75, but the "
        "interval does not exclude less.",
    )
    assert reasons(minimum_effect=0.9) == (f"{seen} [0.6, 1.4]: it contains the minimum effect of 0.9.",)
    assert reasons(ci_lower=None, ci_upper=None) == (f"{seen} [unbounded, unbounded]: no effect is ruled out.",)
    assert reasons(ci_upper=None)[0].startswith(f"{seen} [0.6, unbounded]: all of it")
    assert reasons(-1.0, better="lower") == reasons()
    assert reasons(-1.0, better="lower", ci_lower=None)[0].startswith(f"{seen} [0.6, unbounded]: all of it")


@pytest.mark.parametrize(
    ("minimum_effect", "verdict"), [(0.49, "GO"), (0.5, "CANARY"), (0.75, "CANARY"), (0.76, "HOLD"), (1.5, "HOLD")]
)
def test_the_thresholds_of_the_verdict_belong_to_the_stricter_side(minimum_effect: float, verdict: str) -> None:
    assert decided(1.0, 0.25, minimum_effect=minimum_effect).verdict == verdict


def test_without_a_standard_error_there_is_no_canary() -> None:
    assert decided(1.0, 0.2, ci_lower=-0.1, standard_error=None).verdict == "HOLD"
    assert decided(1.0, 0.2, ci_lower=-0.1).verdict == "CANARY"


def test_a_gate_is_named_with_its_reason_and_failures_come_first() -> None:
    bare = Gate(status="warn", rule="It is so.", reason=None)
    assert reasons(gates=(WARN, FAIL, bare))[1:] == (
        "The gate 1 fails: It is not so.", "The gate 0 warns: It is hardly so.", "The gate 2 warns: It is so.",
    )  # fmt: skip
    assert reasons(0.5, 0.2, ci_lower=-0.1, gates=(PASS,))[1:] == ()
    assert decided(0.5, 0.2, ci_lower=-0.1, gates=(WARN,)).verdict == "CANARY"


def test_a_primary_without_a_number_is_named_with_its_status() -> None:
    assert reasons(None, status="skipped", reason="It needs an instrument.") == (
        "aipw was skipped: It needs an instrument.",
    )
    assert reasons(None, status="failed") == ("aipw was failed",)


def test_without_a_primary_the_gates_of_the_design_are_the_reasons() -> None:
    gates = {"computation": FAIL, "overlap": WARN, "design": FAIL, "balance": PASS}
    found = decide(
        Primary(name=None, rule="Nothing applies."), [], gates, better="lower", minimum_effect=0.5, alpha=0.05
    )
    assert found.reasons == (
        "There is no estimate of an effect to decide on. Nothing applies.",
        "The gate design fails: It is not so.",
        "The gate overlap warns: It is hardly so.",
    )
    assert (found.verdict, found.estimates_computed) == ("HOLD", 0)
    assert found.note == "No estimate was computed. The decision uses the primary alone."


def test_the_decision_repeats_what_it_was_asked() -> None:
    found = decided(1.0, better="lower", minimum_effect=0.5)
    assert (found.primary, found.primary_rule) == ("aipw", "By the design.")
    assert (found.better, found.minimum_effect, found.estimates_computed) == ("lower", 0.5, 1)


def policy(**more: object) -> dict[str, object]:
    return {"family": "off_policy", "diagnostics": {"lift": 0.5, "lift_standard_error": 0.1, **more}}


def test_a_policy_is_judged_by_its_lift_over_the_logged_one() -> None:
    found = decided(9.0, 0.01, **policy())
    assert found.verdict == "GO"
    assert found.reasons[0] == (
        "The gain is 0.5, its 95% interval over the logged policy [0.304, 0.696]: all of it is above the minimum "
        "effect of 0."
    )
    assert decided(9.0, 0.01, **policy(), minimum_effect=0.35).verdict == "CANARY"
    assert decided(9.0, 0.01, **policy(), alpha=0.001, minimum_effect=0.25).verdict == "CANARY"
    assert decided(9.0, 0.01, **policy(), better="lower").verdict == "HOLD"


def test_a_policy_without_an_error_of_its_lift_has_no_interval() -> None:
    assert decided(9.0, 0.01, **policy(lift_standard_error=None)).reasons[0] == (
        "The gain is 0.5, its 95% interval over the logged policy [unbounded, unbounded]: no effect is ruled out."
    )
    assert "The gain is 0, its" in decided(9.0, 0.01, **policy(lift=None)).reasons[0]


@pytest.mark.parametrize(
    ("pieces", "bounds"),
    [
        ([[0.5, 1.6]], "[0.5, 1.6]"), ([[0.5, 0.7], [0.2, 1.6], [0.9, 1.0]], "[0.2, 1.6]"),
        ([[0.5, None], [0.2, 1.0]], "[0.2, unbounded]"), ([[None, 1.0], [0.2, 3.0]], "[unbounded, 3]"),
        (["no piece", [0.5, 1.6]], "[0.5, 1.6]"),
    ],
)  # fmt: skip
def test_an_anderson_rubin_set_of_several_pieces_is_read_by_its_hull(pieces: list[object], bounds: str) -> None:
    found = decided(family="instruments", diagnostics={"anderson_rubin_robust": {"intervals": pieces}})
    assert found.reasons[0].startswith(f"The gain is 1, its 95% Anderson-Rubin set {bounds}: ")


@pytest.mark.parametrize("missing", [None, {}, {"intervals": None}, {"intervals": []}, "none"])
def test_without_an_anderson_rubin_set_the_interval_is_read(missing: object) -> None:
    found = decided(family="instruments", diagnostics={"anderson_rubin_robust": missing})
    assert found.reasons == reasons()
