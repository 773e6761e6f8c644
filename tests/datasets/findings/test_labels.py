"""Texts without labels of totals."""

import polars as pl

from cqox.datasets.findings.labels import without_totals


def test_labels_of_totals_are_left_out() -> None:
    assert without_totals(pl.Series(["4月", None, "合 計", "5月", "Total", "4月", "計", "subtotal"])) == ["4月", "5月"]
