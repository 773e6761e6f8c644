"""Assumptions of a cutoff."""

import pytest

from cqox.contract import Assumption
from cqox.diagnostics.identification.cutoffs import cutoff_assumptions
from cqox.estimators import Json
from tests.diagnostics.identification.judging import judged


def of_sharp(found: dict[str, Json], **options: object) -> dict[str, Assumption]:
    entries = cutoff_assumptions(
        judged("rd_local_linear", "discontinuity", diagnostics={"discontinuity": found}, **options)
    )
    return {entry.name: entry for entry in entries}


def of_fuzzy(found: dict[str, Json], kind: str = "interval", **options: object) -> dict[str, Assumption]:
    entries = cutoff_assumptions(
        judged(
            "rd_fuzzy",
            "discontinuity",
            diagnostics={"discontinuity": {"first_stage": found}},
            of_estimate={"anderson_rubin_robust": {"kind": kind}},
            **options,
        )
    )
    return {entry.name: entry for entry in entries}


def needed(sentence: str) -> bool:
    return sentence.startswith("'supported' needs")


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    entries = cutoff_assumptions(judged("rd_fuzzy", "discontinuity"))
    assert [(entry.name, entry.status) for entry in entries] == [
        ("no_manipulation", "untested"),
        ("continuity", "untested"),
        ("relevance", "untested"),
        ("exclusion", "untested"),
        ("monotonicity", "untested"),
    ]
    assert all(entry.remedy for entry in entries)


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    entries = cutoff_assumptions(
        judged("rd_fuzzy", "discontinuity", assumes=["no_manipulation", "continuity", "exclusion", "monotonicity"])
    )
    assert [entry.name for entry in entries if entry.status == "declared"] == [
        "no_manipulation",
        "continuity",
        "exclusion",
        "monotonicity",
    ]


@pytest.mark.parametrize(("p", "heap", "share", "status"), [
    (0.05, None, 1.0, "supported"), (0.05, None, 1.01, "untested"), (0.049, None, 0.5, "untested"),
    (0.5, 0.5, 0.5, "supported"), (0.5, 0.024, 0.5, "untested"), (0.5, None, None, "untested"),
    (0.5, 0.0004, 0.5, "contradicted"), (0.00099, None, 2.0, "contradicted"), (None, 0.5, None, "untested"),
    (None, 0.0009, None, "contradicted"),
])  # fmt: skip
def test_manipulation_is_ruled_out_by_a_density_test_with_power_and_no_heap(
    p: float | None, heap: float | None, share: float | None, status: str
) -> None:
    found: dict[str, Json] = {"manipulation": {"p_value": p, "detectable_share": share, "heap": {"p_value": heap}}}
    entry = of_sharp(found)["no_manipulation"]
    assert entry.status == status
    tests = [sentence for sentence in entry.evidence if not needed(sentence)]
    assert len(tests) == (p is not None) + (heap is not None)
    assert len(entry.evidence) - len(tests) == (status == "untested")
    declared = of_sharp(found, assumes=["no_manipulation"])["no_manipulation"].status
    assert declared == ("declared" if status == "untested" else status)


def smooth(
    covariates: float | None, placebo: float | None, *, tested: int = 8, outside: bool = False
) -> dict[str, Json]:
    hole: dict[str, Json] = {"share": 0.05, "rows_left_out": 9, "estimate": 1.1, "outside": outside}
    return {
        "covariates": {"adjusted_p_value": covariates, "tested": 3},
        "placebo_cutoffs": {"adjusted_p_value": placebo, "tested": tested},
        "donut": [{**hole, "share": 0.01, "outside": False}, hole, {**hole, "share": 0.1, "outside": True}],
    }


@pytest.mark.parametrize(("found", "status"), [
    (smooth(0.05, 0.02), "supported"), (smooth(0.049, 0.9), "untested"), (smooth(None, 0.05), "supported"),
    (smooth(None, 0.049), "untested"), (smooth(None, 0.5, tested=3), "untested"),
    (smooth(0.5, 0.5, outside=True), "untested"), (smooth(0.0004, 0.5), "contradicted"),
    (smooth(0.0006, 0.5), "untested"), (smooth(None, 0.0009), "contradicted"), (smooth(0.5, 0.0004), "contradicted"),
])  # fmt: skip
def test_continuity_is_shown_by_covariates_or_else_placebo_cutoffs_and_a_donut_inside_the_interval(
    found: dict[str, Json], status: str
) -> None:
    entry = of_sharp(found)["continuity"]
    assert entry.status == status
    assert any(map(needed, entry.evidence)) == (status == "untested")
    codes = [sentence.code for sentence in entry.evidence]
    assert ("identification.cutoff-donut-outside" in codes) == (found["donut"][1]["outside"] is True)


def test_the_condition_that_is_not_met_is_named_with_both_numbers() -> None:
    assert of_sharp(smooth(None, 0.5, tested=3))["continuity"].evidence[-1] == (
        "'supported' needs a mapped covariate, or 4 placebo cutoffs or more; there are 3."
    )
    weak: dict[str, Json] = {"manipulation": {"p_value": 0.5, "detectable_share": 1.4}}
    assert of_sharp(weak)["no_manipulation"].evidence[-1] == (
        "'supported' needs a detectable jump of 100% of the mean density or less; it is 140%."
    )


def test_a_strong_first_stage_is_relevant_and_an_unbounded_set_contradicts_it() -> None:
    assert of_fuzzy({"effective_f": 10.0})["relevance"].status == "supported"
    weak = of_fuzzy({"effective_f": 9.9})["relevance"]
    assert (weak.status, weak.caps) == ("untested", True)
    for kind in ("whole line", "two rays", "ray"):
        assert of_fuzzy({"effective_f": 3.0}, kind)["relevance"].status == "contradicted"


def test_a_first_stage_of_the_other_sign_contradicts_monotonicity_also_where_it_is_declared() -> None:
    assert of_fuzzy({"opposite_p_value": 0.01}, assumes=["monotonicity"])["monotonicity"].status == "declared"
    found = of_fuzzy({"opposite_p_value": 0.0099}, assumes=["monotonicity"])["monotonicity"]
    assert found.status == "contradicted"
    assert [sentence.code for sentence in found.evidence] == ["identification.cutoff-first-stage-halves"]
