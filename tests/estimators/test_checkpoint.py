import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings, abandonable, catalog, checkpoint, run
from cqox.estimators.numerics.row_blocks import Rows


class _Abandoned(BaseException):
    pass


def _abandon() -> None:
    raise _Abandoned


def test_nothing_is_checked_where_nobody_asked_for_it() -> None:
    checkpoint()
    with abandonable(_abandon):
        pass
    checkpoint()


def test_a_pass_over_the_rows_can_be_abandoned_before_it_begins() -> None:
    begun: list[slice] = []
    with pytest.raises(_Abandoned), abandonable(_abandon):
        Rows(n=10, block=2, threads=1).each(begun.append)
    assert begun == []


def test_an_estimator_does_not_take_an_abandonment_for_its_own_failure() -> None:
    rng = np.random.default_rng(1)
    treated = rng.integers(0, 2, 60).astype(float)
    checks: list[int] = []

    def check() -> None:
        checks.append(len(checks))
        if len(checks) == 3:
            raise _Abandoned

    data = Data(
        n=60,
        y=rng.normal(size=60),
        y_kind="real",
        treatment=treated,
        treatment_kind="binary",
        row_key=rng.integers(0, 2**62, 60).astype(np.uint64),
    )
    plan, means = Plan(data, Settings()), catalog()[0]
    with pytest.raises(_Abandoned), abandonable(check):
        _run_all(plan)
    assert len(checks) == 3
    assert run(means, plan).status == "ok"


def _run_all(plan: Plan) -> None:
    for estimator in catalog():
        run(estimator, plan)
