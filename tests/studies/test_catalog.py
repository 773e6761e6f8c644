from collections import Counter

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cqox.contract import AnalyzeRequest, Options, parse_model
from cqox.contract.roles import ROLES
from tests.studies.catalog import STUDIES
from tests.studies.study import Study

BY_NAME = pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)


def test_there_are_enough_studies_of_both_kinds_and_each_has_a_name_of_its_own() -> None:
    kinds = Counter(study.kind for study in STUDIES)
    assert kinds["good"] >= 40
    assert kinds["no effect"] >= 60
    assert kinds["harmful"] >= 3
    assert len({study.name for study in STUDIES}) == len(STUDIES)


def test_every_good_study_has_an_effect_in_the_direction_that_is_better() -> None:
    for study in STUDIES:
        if study.kind == "good" and study.truth is not None:
            sign = -1 if study.options.get("better") == "lower" else 1
            assert sign * study.truth > float(study.options.get("minimum_effect", 0.0)), study.name


def test_no_study_without_a_gain_has_an_effect_that_is_better() -> None:
    without = [study for study in STUDIES if study.kind != "good" and study.family != "policy log"]
    assert [study.name for study in without if (study.truth or 0.0) > 0] == []


@BY_NAME
def test_a_study_draws_the_columns_that_it_maps_and_the_same_ones_again(study: Study) -> None:
    frame = study.generate(np.random.default_rng(7))
    assert isinstance(frame, pl.DataFrame)
    mapped = [
        name
        for role, given in study.mapping.items()
        if ROLES[role].arity != "scalar"
        for name in (given if isinstance(given, list) else [given])
    ]
    assert set(mapped) <= set(frame.columns)
    assert_frame_equal(frame, study.generate(np.random.default_rng(7)))
    other = study.generate(np.random.default_rng(8))
    assert not frame.equals(other)


@BY_NAME
def test_a_study_is_a_request_that_can_be_sent(study: Study) -> None:
    known = {name: value for name, value in study.options.items() if name in Options.model_fields}
    request = parse_model(AnalyzeRequest, {"dataset_id": "d", "mapping": dict(study.mapping), "options": known})
    roles, aliases = request.roles()
    assert set(roles) == set(study.mapping)
    assert aliases == {}
