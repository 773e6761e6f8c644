from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from cqox.contract.messages import of
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Plan, Settings, run
from cqox.estimators.by_moments import learners
from cqox.estimators.by_moments.catalog import BY_MOMENTS
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.instruments import clustered_products
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.by_moments.summed import SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.data import Matrix
from cqox.estimators.numerics.moments import Column, Expr
from tests.estimators.by_moments.tables_of import ESTIMATORS, both, in_arrays, numbers, replaced, same, study, tables

NAMES = ["s_learner", "t_learner", "x_learner", "dr_learner"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "design", [{}, {"weights": True}, {"clusters": 300}, {"clusters": 20, "weights": True}, {"collinear": True}]
)
def test_the_numbers_are_those_of_the_rows_in_memory(design: dict[str, bool], name: str) -> None:
    same(*both(name, study(**design)))


@pytest.mark.parametrize("name", NAMES)
def test_several_splits_are_those_of_the_rows_in_memory(name: str) -> None:
    same(*both(name, study(clusters=300), Settings(repetitions=3, folds=4)))


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_given_probability_is_used_as_it_is(name: str) -> None:
    data = study(missing=False)
    given = 1 / (1 + np.exp(-0.5 * data.covariates[:, 0]))
    names = {role: words for role, words in data.names.items() if role != "propensity_covariates"}
    data = replaced(
        data, pscore=given, propensity_covariates=np.empty((data.n, 0)), names={**names, "pscore": ("p",)}
    )  # fmt: skip
    made = tables(data, source=lambda columns: in_arrays({**columns, "given": given}))
    made.encoded = replace(made.encoded, pscore=Column("given"))
    same(run(ESTIMATORS[name], Plan(data, Settings())), estimates(made, name)[name])


def test_too_many_rows_to_rank_are_ranked_in_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    data = study()
    memory = run(ESTIMATORS["dr_learner"], Plan(data, Settings()))
    monkeypatch.setattr(learners, "MOST_ROWS", data.n // 2)
    made = tables(data)
    found = estimates(made, "dr_learner")["dr_learner"]
    assert isinstance(found, Estimate)
    sampled = run(ESTIMATORS["dr_learner"], made.pilot)
    assert found.estimate == pytest.approx(memory.estimate, rel=1e-9)
    for table, expected in {
        "best_linear_predictor": memory,
        "judged_by_scores": sampled,
        "predicted_effects": sampled,
    }.items():
        ours, theirs = (dict(numbers(each.diagnostics[table])) for each in (found, expected))
        assert ours == pytest.approx(theirs, rel=1e-8, abs=1e-11), table
    (note,) = [each for each in found.diagnostics["notes"] if each.code == "by_moments.ranks-of-sample"]
    assert note.params["of"] == memory.n > note.params["rows"] > memory.n / 3


def test_sums_of_many_clusters_are_squared_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []

    def counted(moments: Sequence[Expr], frame: SummedFrame, made: Tables) -> Matrix:
        called.append(len(moments))
        return clustered_products(moments, frame, made)

    monkeypatch.setattr(learners, "MOST_NUMBERS", 300)
    monkeypatch.setattr(learners, "clustered_products", counted)
    same(*both("dr_learner", study(clusters=300, weights=True)))
    assert called == [5]


def test_an_evaluation_of_few_rows_says_why_there_is_none() -> None:
    memory, found = both("t_learner", study(90))
    same(memory, found)
    assert found.diagnostics["judged_by_scores"]["reason"] == memory.diagnostics["judged_by_scores"]["reason"]


def test_a_treatment_that_the_covariates_determine_has_no_estimate() -> None:
    data = study(missing=False)
    data = replaced(data, treatment=data.covariates[:, 2])
    memory, found = both("s_learner", data)
    assert isinstance(found, UnusableData)
    assert memory.estimate is None
    assert memory.reason == of(found.detail)


def test_without_a_key_there_are_no_folds() -> None:
    made = tables(study())
    made.encoded = replace(made.encoded, row_key=None)
    for name, found in estimates(made, *NAMES).items():
        assert isinstance(found, NotByMoments), name
        assert found.why.code == "by_moments.no-row-key"


def estimates(made: Tables, *names: str) -> Mapping[str, Estimate | Exception]:
    """Estimates by moments."""
    return run_rounds(made, {name: partial(BY_MOMENTS[name], made) for name in names})
