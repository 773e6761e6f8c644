"""The answer in one sentence."""

import pytest

from cqox.contract import Assumption, Effect, Identification
from cqox.contract.messages import Message
from cqox.diagnostics import headline


def ledger(status: str, name: str = "unconfounded", design: str = "comparison", *, caps: bool = True) -> Identification:
    entry = Assumption(name=name, statement="It is so.", status=status, caps=caps)  # type: ignore[arg-type]
    return Identification(design=design, statement="It is.", assumptions=(entry,))


def said(
    estimate: float = 2.0, half: float = 0.5, *, status: str = "declared", continuous: bool = False,
    contrast: str | None = None, relative: float | None = None, differ: tuple[str, ...] = (),
    failing: tuple[str, ...] = (), findings: tuple[str, ...] = (),
) -> Message:  # fmt: skip
    found = Effect(
        outcome="sales", treatment="ad", estimate=estimate, lower=estimate - half, upper=estimate + half,
        relative=relative,
    )  # fmt: skip
    return headline(
        found, ledger(status), contrast=contrast, continuous=continuous, alpha=0.05, differ=differ, failing=failing,
        findings=findings,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("estimate", "half", "status", "continuous", "code"),
    [
        (2.0, 0.5, "declared", False, "headline.raised"),
        (-2.0, 0.5, "declared", False, "headline.lowered"),
        (0.2, 0.5, "declared", False, "headline.no-effect"),
        (2.0, 0.5, "declared", True, "headline.effect-per-unit"),
        (2.0, 0.5, "untested", False, "headline.association-higher"),
        (-2.0, 0.5, "untested", False, "headline.association-lower"),
        (2.0, 0.5, "untested", True, "headline.association-per-unit"),
        (0.2, 0.5, "untested", False, "headline.no-association"),
    ],
)
def test_the_sentence_says_effect_or_association(
    estimate: float, half: float, status: str, continuous: bool, code: str
) -> None:
    found = said(estimate, half, status=status, continuous=continuous)
    assert found.code == code
    assert "sales" in found
    assert f"{estimate:g}" in found
    assert "[en]" not in found.in_language("ja")


def test_the_levels_of_a_treatment_of_several_are_named() -> None:
    assert "ad (b - a)" in said(status="untested", contrast="b - a")


def test_the_relative_effect_stands_in_the_sentence() -> None:
    assert "+12.5% of the outcome without treatment" in said(relative=0.125)


def test_without_a_number_the_sentence_says_so() -> None:
    assert headline(None, None, contrast=None, continuous=False, alpha=0.05).code == "headline.no-number"


def test_an_association_names_the_columns_by_which_the_arms_differ() -> None:
    assert "The arms differ by age, income, to which the request gives no role." in said(
        status="untested", differ=("age", "income")
    )
    assert said(status="declared", differ=("age",)).code == "headline.arms-differ"
    many = said(differ=tuple(f"x{number}" for number in range(40)))
    assert many.endswith(
        " The arms differ by x0, x1, x2, x3, x4, x5, x6, x7 and 32 more, to which the request gives no role."
    )
    assert "differ by" not in said(status="declared")


def test_an_amount_has_no_arms() -> None:
    one = said(status="untested", continuous=True, differ=("age",))
    assert one.endswith(" ad is related to age, to which the request gives no role.")
    many = said(continuous=True, differ=tuple(f"x{number}" for number in range(40)))
    assert many.endswith(" x7 and 32 more, to which the request gives no role.")
    assert "arms" not in one + many


def of_ledger(found: Identification, estimate: float = 2.0) -> Message:
    effect = Effect(outcome="sales", treatment="ad", estimate=estimate, lower=estimate - 1, upper=estimate + 1)
    return headline(effect, found, contrast=None, continuous=False, alpha=0.05)


@pytest.mark.parametrize("name", ["randomized", "unconfounded", "complete_outcomes"])
def test_no_effect_is_claimed_where_a_test_contradicts_an_assumption(name: str) -> None:
    said = of_ledger(ledger("contradicted", name, caps=False))
    assert said.code == "headline.contradicted"
    assert f"a test contradicts {name}." in said
    assert "raised" not in said


def test_an_effect_that_rests_on_an_untested_assumption_names_it() -> None:
    said = of_ledger(ledger("untested", "parallel_trends", "trends"))
    assert said.code == "headline.effect-if"
    assert "parallel_trends" in said
    assert of_ledger(ledger("untested", "unconfounded", "instrument")).code == "headline.effect-if"
    assert of_ledger(ledger("untested", "no_interference", caps=False)).code == "headline.raised"
    assert of_ledger(ledger("supported", "parallel_trends", "trends")).code == "headline.raised"
    assert of_ledger(ledger("untested", "parallel_trends", "trends"), estimate=0.2).code == "headline.no-effect"


@pytest.mark.parametrize("status", ["declared", "untested"])
@pytest.mark.parametrize("estimate", [2.0, 0.2])
def test_no_effect_is_claimed_where_a_gate_fails(estimate: float, status: str) -> None:
    found = said(estimate, status=status, failing=("overlap", "balance"), findings=("duplicate-rows",))
    assert found.code == "headline.gates-fail"
    assert found.endswith("It is not to be read as an effect, since these gates fail: overlap, balance.")
    assert said(status="untested", failing=("overlap",), differ=("age",)).code == "headline.arms-differ"


def test_findings_that_keep_the_verdict_at_canary_stand_in_the_sentence() -> None:
    found = said(findings=("duplicate-rows",))
    assert found.startswith("The treatment raised sales: ")
    assert found.endswith(" What was found in the data may change this: duplicate-rows.")
