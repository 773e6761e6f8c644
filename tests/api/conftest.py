"""One session for the whole room: its worker stays warm."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from cqox.api.calls import analyze
from cqox.api.report import Report
from cqox.api.session import Session


def trial(rows: int = 400, *, seed: int = 1) -> pd.DataFrame:
    """Return a randomized trial with an effect of 2."""
    rng = np.random.default_rng(seed)
    age, arm = rng.normal(40.0, 10.0, rows), rng.integers(0, 2, rows)
    return pd.DataFrame({"sales": 2.0 * arm + age / 10 + rng.normal(size=rows), "campaign": arm, "age": age})


@pytest.fixture(scope="package")
def session() -> Iterator[Session]:
    with Session() as made:
        yield made


@pytest.fixture(scope="package")
def report(session: Session) -> Report:
    return analyze(
        trial(), y="sales", treatment="campaign", covariates=["age"], assignment="randomized", session=session
    )
