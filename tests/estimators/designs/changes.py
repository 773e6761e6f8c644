"""The same data but for its rows, its covariates or its treatment: the transformations that the laws speak of."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cqox.estimators import Data, Matrix, Vector


def rows(data: Data, index: NDArray[np.intp]) -> Data:
    """The data of some rows, in the order given, any of them several times."""
    return data.rows(index)


def with_covariates(data: Data, x: Matrix) -> Data:
    """The data with other covariates, for outcome and treatment alike."""
    labels = tuple(f"x{column}" for column in range(x.shape[1]))
    names = {**data.names, "covariates": labels, "propensity_covariates": labels}
    return replace(data, covariates=x, propensity_covariates=x, names=names)


def with_treatment(data: Data, change: Callable[[Vector], Vector]) -> Data:
    """The data with a transformed treatment."""
    assert data.treatment is not None
    return replace(data, treatment=change(data.treatment))
