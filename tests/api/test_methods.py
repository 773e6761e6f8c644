"""Single estimators."""

import inspect

import pytest

import cqox
from cqox.api.report import Report
from cqox.api.session import Session
from cqox.contract import ESTIMATORS
from cqox.errors import InvalidRequest, UnusableData
from tests.api.conftest import trial


def test_one_estimator_gives_the_estimate_of_the_report(report: Report, session: Session) -> None:
    found = cqox.methods.aipw(trial(), y="sales", treatment="campaign", covariates="age", session=session)
    assert found.estimate == pytest.approx(report["aipw"].estimate, rel=1e-12)
    assert found.standard_error == pytest.approx(report["aipw"].standard_error, rel=1e-12)


def test_every_estimator_is_a_function_with_help() -> None:
    assert set(dir(cqox.methods)) == set(ESTIMATORS)
    for name in ESTIMATORS:
        method = getattr(cqox.methods, name)
        assert method.__name__ == name
        assert {"data", "contrast", "y", "alpha"} <= set(inspect.signature(method).parameters)
    with pytest.raises(AttributeError, match="apiw"):
        _ = cqox.methods.apiw  # type: ignore[attr-defined]


def test_an_estimator_that_does_not_apply_says_why(session: Session) -> None:
    with pytest.raises(UnusableData, match=r"'iv_2sls' gives no estimate: .*instrument"):
        cqox.methods.iv_2sls(trial(), y="sales", treatment="campaign", session=session)


def test_several_contrasts_are_named(session: Session) -> None:
    frame = trial().assign(campaign=lambda data: data["age"].rank().astype(int) % 3)
    with pytest.raises(InvalidRequest) as caught:
        cqox.methods.difference_in_means(frame, y="sales", treatment="campaign", session=session)
    contrast = (caught.value.choices or ())[0]
    found = cqox.methods.difference_in_means(frame, y="sales", treatment="campaign", contrast=contrast, session=session)
    assert found.contrast == contrast
