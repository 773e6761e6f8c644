"""Covariates that are empty for most rows."""

import polars as pl

from cqox.datasets.findings.mostly_empty import mostly_empty

FRAME = pl.DataFrame({"x": [1.0, 2.0, None, None, None], "z": [1.0, 2.0, 3.0, None, None]})


def test_a_covariate_that_is_empty_for_most_rows_is_found() -> None:
    (finding,) = mostly_empty(FRAME.__getitem__, ["x", "z"])
    assert (finding.code, finding.severity, finding.columns, finding.rows) == (
        "mostly-empty-covariate", "caps", ["x"], [3, 4, 5],
    )  # fmt: skip
    assert finding.remedy is not None
    assert finding.remedy.parameters == {"missing": "indicator"}
