"""Findings of a mapping."""

import polars as pl

from cqox.contract import Options
from cqox.datasets import of_roles

FRAME = pl.DataFrame(
    {"y": [float(i) for i in range(20)], "x": [1.0] * 5 + [None] * 15, "z": [2.0 * i for i in range(20)]}
)


def codes(**options: object) -> list[str]:
    found = of_roles(FRAME.__getitem__, outcome="y", covariates=["x", "z"], options=Options(**options))
    return [finding.code for finding in found]


def test_covariates_are_looked_at() -> None:
    assert codes() == ["mostly-empty-covariate", "outcome-as-covariate"]
    assert of_roles(FRAME.__getitem__, outcome=None, covariates=["z"], options=Options()) == []


def test_an_indicator_of_gaps_settles_empty_cells() -> None:
    assert codes(missing="indicator") == ["outcome-as-covariate"]
