from cqox.diagnostics.heterogeneity import heterogeneity
from cqox.estimators import Estimate, Json
from tests.diagnostics.looking import judged
from tests.estimators.designs import cross_section


def learner(name: str, table: dict[str, Json]) -> Estimate:
    return Estimate(
        name=name, family="meta_learners", estimand="ATE", status="ok", estimate=1.0,
        diagnostics={"judged_by_scores": table},
    )  # fmt: skip


def test_the_first_learner_that_was_judged_is_shown_with_the_areas_of_all() -> None:
    found = judged(cross_section(2000)).diagnostics["heterogeneity"]
    assert found["estimator"] == "dr_learner"
    assert len(found["groups"]) == 5
    assert set(found["learners"]) == {"dr_learner", "x_learner", "t_learner"}
    assert found["learners"]["dr_learner"]["qini"] == found["qini"]
    assert found["best_linear_predictor"]["test"]["p_value"] < 0.05


def test_the_next_learner_stands_in_where_one_has_no_judgement() -> None:
    mine: dict[str, Json] = {"groups": [{"group": 1}], "autoc": {}, "qini": {}, "equal_groups": None}
    estimates = [learner("dr_learner", {"reason": "Too few."}), learner("t_learner", mine)]
    assert heterogeneity(estimates)["estimator"] == "t_learner"
    assert heterogeneity(estimates[:1]) == {"reason": "Too few."}


def test_without_a_learner_there_is_a_reason() -> None:
    assert "predicts conditional average effects" in heterogeneity([])["reason"]
