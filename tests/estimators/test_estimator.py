from dataclasses import replace

import numpy as np

from cqox.estimators import Plan, Settings, entries
from tests.estimators.designs import cross_section

_ESTIMATORS = {entry.name: entry for entry in entries()}


def _reason(name: str, **changes: object):
    return _ESTIMATORS[name].applies(Plan(replace(cross_section(n=60), **changes), Settings()))


def test_missing_roles_are_named():
    reason = _reason("twfe")
    assert reason == "The estimator needs the roles 'unit_id' and 'time', which the mapping does not name."
    assert reason.in_language("ja") == "指定されていない役割'unit_id'と'time'が必要である。"


def test_a_role_whose_columns_do_not_vary_is_named():
    reason = _reason("iv_2sls", names={"instrument": ("z",)})
    assert reason.startswith("The estimator needs 'instrument', but no column mapped as 'instrument' is usable")
    assert reason.in_language("ja").startswith("'instrument'が必要であるが")


def test_a_treatment_of_another_kind_is_named():
    reason = _reason("ipw_ate", treatment_kind="continuous", names={"treatment": ("t",)})
    assert reason == "The estimator needs a treatment of two levels; 't' is continuous."
    assert reason.in_language("ja") == "2水準の処置が必要である。「t」は連続量である。"


def test_a_rule_names_the_kind_of_treatment_in_both_languages():
    reason = _reason(
        "did_callaway_santanna", treatment_kind="continuous", names={"treatment": ("t",)},
        unit=np.repeat(np.arange(30), 2), time=np.tile(np.arange(2), 30),
    )  # fmt: skip
    assert reason == "The estimator needs a treatment of two levels, or 'cohort'; 't' is continuous."
    assert reason.in_language("ja") == "2水準の処置、または'cohort'が必要である。「t」は連続量である。"


def test_a_rule_that_raises_gives_its_reason():
    separated = (cross_section(n=60).treatment > 0).astype(np.float64)[:, None]
    reason = _reason("propensity_strata", covariates=separated, propensity_covariates=separated)
    assert reason.code == "numerics.arms-separated"
