import numpy as np
import pytest

from cqox.analysis.ranges import refuse_out_of_range
from cqox.contract.messages import of
from cqox.datasets import Column
from cqox.errors import InvalidRequest
from cqox.estimators.numerics.moments import ArrayMoments

VALUES = np.array([-0.5, 0.0, 0.3, 1.0, 1.2, np.nan])


def refuse(roles: dict[str, object], values: np.ndarray = VALUES) -> None:
    known = values[~np.isnan(values)]
    column = Column(
        name="p", original_name="p", kind="real", dtype="float64", count=len(known), missing=1, distinct=len(known),
        minimum=float(known.min()), maximum=float(known.max()),
    )  # fmt: skip
    refuse_out_of_range({"p": column}, roles, ArrayMoments(columns={"p": values}))


@pytest.mark.parametrize(
    ("roles", "code", "number"),
    [
        ({"weights": "p"}, "analysis.negative-weights", 1),
        ({"pscore": "p"}, "analysis.treatment-probability", 4),
        ({"pscore": "p", "action": "a"}, "analysis.logged-probability", 3),
        ({"log_propensity": "p"}, "analysis.log-above-zero", 3),
    ],
)
def test_values_out_of_range_are_refused_with_the_number_of_all(
    roles: dict[str, object], code: str, number: int
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        refuse(roles)
    assert of(caught.value.detail).code == code
    assert f"{number} " in str(caught.value)


@pytest.mark.parametrize(
    ("roles", "values"),
    [
        ({"weights": "p"}, [0.0, 2.0]),
        ({"pscore": "p"}, [0.1, 0.9]),
        ({"pscore": "p", "action": "a"}, [0.1, 1.0]),
        ({"log_propensity": "p"}, [-3.0, 0.0]),
    ],
)
def test_values_in_range_pass(roles: dict[str, object], values: list[float]) -> None:
    refuse(roles, np.array(values))
