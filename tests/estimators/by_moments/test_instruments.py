import pytest

from cqox.errors import UnusableData
from cqox.estimators.by_moments.encoded import NotByMoments
from tests.estimators.by_moments.tables_of import both, replaced, same, study, without_covariates

NAMES = ["iv_2sls", "iv_liml", "iv_fuller"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "design",
    [
        {"instruments": 1},
        {"instruments": 2},
        {"instruments": 1, "amount": True},
        {"instruments": 2, "clusters": 300, "weights": True},
    ],
)
def test_the_numbers_are_those_of_the_rows_in_memory(design: dict[str, int], name: str) -> None:
    same(*both(name, study(**design)))


def test_wald_needs_no_covariates() -> None:
    same(*both("iv_wald", without_covariates(study(instruments=1))))


def test_few_clusters_are_left_to_the_sample() -> None:
    _, found = both("iv_2sls", study(instruments=1, clusters=20))
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.few-clusters"


def test_an_instrument_that_is_a_covariate_is_refused_as_in_memory() -> None:
    data = study(instruments=1, missing=False)
    memory, found = both("iv_2sls", replaced(data, instruments=data.covariates[:, :1]))
    assert isinstance(found, UnusableData)
    assert memory.reason == found.detail
