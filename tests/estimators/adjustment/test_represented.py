"""Reports of a source population, for estimates in a target."""

from cqox.contract.messages import Message
from cqox.estimators.adjustment.represented import Represented

FIT = Message("adjustment.the-source")


def represented(**changed: object) -> Represented:
    usual = {
        "source_rows": 500, "target_rows": 300, "by_arm": (260, 240), "effective": 320.0, "largest_share": 0.01,
        "differences": {"a": (0.4, 0.05), "b": (0.2, -0.3), "c": (None, None)}, "propensity_known": False,
    }  # fmt: skip
    return Represented(**{**usual, **changed})  # type: ignore[arg-type]


def said(found: Represented, **changed: object) -> list[str]:
    usual = {"coefficients": 4, "clustered": False, "weighted": True, "unseen": (), "fits": ()}
    return [str(each.code) for each in found.warnings(**{**usual, **changed})]  # type: ignore[arg-type]


def test_details_are_those_of_a_report() -> None:
    assert represented(propensity_known=True).details() == {
        "source_rows": 500, "target_rows": 300, "ess_source": 320.0, "largest_weight_share": 0.01,
        "standardised_differences": {"a": [0.4, 0.05], "b": [0.2, -0.3], "c": [None, None]}, "propensity": "given",
        "source_rows_by_arm": {"untreated": 260, "treated": 240},
    }  # fmt: skip
    assert represented().details()["propensity"] == "logit"


def test_covariates_that_weights_leave_apart_matter_to_weights_alone() -> None:
    assert said(represented()) == ["adjustment.populations-differ"]
    assert said(represented(), weighted=False) == []


def test_the_logits_matter_to_weights_alone() -> None:
    found = represented(differences={})
    assert said(found, fits=(FIT,)) == [FIT.code]
    assert said(found, fits=(FIT,), weighted=False) == []


def test_few_rows_of_an_arm_are_a_warning_unless_clusters_are_judged() -> None:
    found = represented(differences={}, by_arm=(460, 39))
    assert said(found) == ["adjustment.few-rows-in-source"]
    assert said(found, coefficients=3) == []
    assert said(found, clustered=True) == []


def test_few_effective_rows_and_covariates_that_the_source_has_not_are_warnings() -> None:
    found = represented(differences={}, effective=99.0)
    assert said(found) == ["adjustment.poor-overlap-of-source"]
    assert said(represented(differences={}), unseen=("x",)) == ["adjustment.constant-in-source"]
