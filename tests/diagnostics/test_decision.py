from dataclasses import replace

import pytest

from cqox.contract import Decision, Gate
from cqox.diagnostics import Primary, decide
from cqox.estimators import Estimate
from tests.diagnostics.looking import confounded, judged, mirrored, sentence, trial
from tests.estimators.designs import instrumented

type Sentence = tuple[str, dict[str, object]]

UNBOUNDED: Sentence = ("verdict.unbounded", {})
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
    assert sentence(seen.decision.note) == ("verdict.estimates-computed", {"number": computed})


def test_one_estimate_is_no_number_of_looks() -> None:
    assert sentence(decided().note) == ("verdict.one-estimate-computed", {})
    assert sentence(decided(None).note) == ("verdict.no-estimate-computed", {})


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
    assert (
        judged(instrumented(2000), assignment="unconfounded", assumes=["exclusion", "monotonicity"]).decision.verdict
        == "GO"
    )
    assert judged(instrumented(500, strength=0.02)).decision.verdict == "HOLD"


def test_the_other_estimates_have_no_vote() -> None:
    seen = judged(trial(600, effect=1.0))
    others = [replace(each, estimate=-9.0) if each.name == "ols_adjustment" else each for each in seen.estimates]
    again = decide(seen.primary, others, seen.gates, better="higher", minimum_effect=0.0, alpha=0.05)
    assert again.verdict == seen.decision.verdict == "GO"


def reasons(value: float | None = 1.0, error: float = 0.2, **more: object) -> tuple[Sentence, ...]:
    return tuple(sentence(reason) for reason in decided(value, error, **more).reasons)


def gain(
    lower: float | None = 0.6, upper: float | None = 1.4, *, value: float = 1.0, interval: str = "interval"
) -> Sentence:
    ends = {name: UNBOUNDED if end is None else bound(end) for name, end in (("lower", lower), ("upper", upper))}
    return "verdict.gain", {"gain": value, "level": 95.0, "interval": (f"verdict.{interval}", {}), **ends}


def bound(end: float) -> Sentence:
    return "verdict.bound", {"value": pytest.approx(end, abs=5e-4)}


def test_each_reading_of_the_interval_has_its_sentence() -> None:
    above = ("verdict.all-above-minimum", {"gain": gain(), "minimum": 0.0})
    assert reasons() == (above, ("verdict.all-gates-pass", {}))
    assert reasons(minimum_effect=1.4) == (("verdict.none-above-minimum", {"gain": gain(), "minimum": 1.4}),)
    assert reasons(minimum_effect=0.75) == (
        ("verdict.estimate-above-minimum", {"gain": gain(), "minimum": 0.75, "interval": ("verdict.interval", {})}),
    )
    assert reasons(minimum_effect=0.9) == (("verdict.contains-minimum", {"gain": gain(), "minimum": 0.9}),)
    assert reasons(ci_lower=None, ci_upper=None) == (("verdict.no-effect-ruled-out", {"gain": gain(None, None)}),)
    half_open = ("verdict.all-above-minimum", {"gain": gain(0.6, None), "minimum": 0.0})
    assert reasons(ci_upper=None)[0] == half_open
    assert reasons(-1.0, better="lower") == reasons()
    assert reasons(-1.0, better="lower", ci_lower=None)[0] == half_open


def test_the_sentence_about_the_interval_reads_well() -> None:
    assert decided().reasons[0] == (
        "The gain is 1, with the 95% interval [0.6, 1.4], which lies entirely above the minimum effect of 0."
    )
    assert decided(ci_lower=None, ci_upper=None).reasons == (
        "The gain is 1, with the 95% interval [unbounded, unbounded], which rules out no effect.",
    )


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
        ("verdict.gate-fails", {"gate": "1", "reason": "It is not so."}),
        ("verdict.gate-warns", {"gate": "0", "reason": "It is hardly so."}),
        ("verdict.gate-warns", {"gate": "2", "reason": "It is so."}),
    )  # fmt: skip
    assert reasons(0.5, 0.2, ci_lower=-0.1, gates=(PASS,))[1:] == ()
    assert decided(0.5, 0.2, ci_lower=-0.1, gates=(WARN,)).verdict == "CANARY"


def test_a_primary_without_a_number_is_named_with_its_status() -> None:
    assert reasons(None, status="skipped", reason="It needs an instrument.") == (
        ("verdict.primary-skipped-reason", {"primary": "aipw", "reason": "It needs an instrument."}),
    )
    assert reasons(None, status="skipped") == (("verdict.primary-skipped", {"primary": "aipw"}),)
    assert reasons(None, status="failed", reason="It is singular.") == (
        ("verdict.primary-failed-reason", {"primary": "aipw", "reason": "It is singular."}),
    )
    assert reasons(None, status="failed") == (("verdict.primary-failed", {"primary": "aipw"}),)


def test_without_a_primary_the_gates_of_the_design_are_the_reasons() -> None:
    gates = {"computation": FAIL, "overlap": WARN, "design": FAIL, "balance": PASS}
    found = decide(
        Primary(name=None, rule="Nothing applies."), [], gates, better="lower", minimum_effect=0.5, alpha=0.05
    )
    assert [sentence(reason) for reason in found.reasons] == [
        ("verdict.nothing-to-decide-on", {"rule": "Nothing applies."}),
        ("verdict.gate-fails", {"gate": "design", "reason": "It is not so."}),
        ("verdict.gate-warns", {"gate": "overlap", "reason": "It is hardly so."}),
    ]
    assert (found.verdict, found.estimates_computed) == ("HOLD", 0)
    assert sentence(found.note) == ("verdict.no-estimate-computed", {})


def test_the_decision_repeats_what_it_was_asked() -> None:
    found = decided(1.0, better="lower", minimum_effect=0.5)
    assert (found.primary, found.primary_rule) == ("aipw", "By the design.")
    assert (found.better, found.minimum_effect, found.estimates_computed) == ("lower", 0.5, 1)


def policy(**more: object) -> dict[str, object]:
    return {"family": "off_policy", "diagnostics": {"lift": 0.5, "lift_standard_error": 0.1, **more}}


def test_a_policy_is_judged_by_its_lift_over_the_logged_one() -> None:
    found = decided(9.0, 0.01, **policy())
    assert found.verdict == "GO"
    over_logged = gain(0.304, 0.696, value=0.5, interval="interval-over-logged-policy")
    assert sentence(found.reasons[0]) == ("verdict.all-above-minimum", {"gain": over_logged, "minimum": 0.0})
    assert decided(9.0, 0.01, **policy(), minimum_effect=0.35).verdict == "CANARY"
    assert decided(9.0, 0.01, **policy(), alpha=0.001, minimum_effect=0.25).verdict == "CANARY"
    assert decided(9.0, 0.01, **policy(), better="lower").verdict == "HOLD"


def test_a_policy_without_an_error_of_its_lift_has_no_interval() -> None:
    over_logged = gain(None, None, value=0.5, interval="interval-over-logged-policy")
    assert reasons(9.0, 0.01, **policy(lift_standard_error=None))[0] == (
        "verdict.no-effect-ruled-out", {"gain": over_logged}
    )  # fmt: skip
    (_, reported), *_ = reasons(9.0, 0.01, **policy(lift=None))
    assert reported["gain"] == gain(-0.196, 0.196, value=0.0, interval="interval-over-logged-policy")


@pytest.mark.parametrize(
    ("pieces", "bounds"),
    [
        ([[0.5, 1.6]], (0.5, 1.6)), ([[0.5, 0.7], [0.2, 1.6], [0.9, 1.0]], (0.2, 1.6)),
        ([[0.5, None], [0.2, 1.0]], (0.2, None)), ([[None, 1.0], [0.2, 3.0]], (None, 3.0)),
        (["no piece", [0.5, 1.6]], (0.5, 1.6)),
    ],
)  # fmt: skip
def test_an_anderson_rubin_set_of_several_pieces_is_read_by_its_hull(
    pieces: list[object], bounds: tuple[float | None, float | None]
) -> None:
    (_, reported), *_ = reasons(family="instruments", diagnostics={"anderson_rubin_robust": {"intervals": pieces}})
    assert reported["gain"] == gain(*bounds, interval="anderson-rubin-set")


@pytest.mark.parametrize("missing", [None, {}, {"intervals": None}, {"intervals": []}, "none"])
def test_without_an_anderson_rubin_set_the_interval_is_read(missing: object) -> None:
    assert reasons(family="instruments", diagnostics={"anderson_rubin_robust": missing}) == reasons()
