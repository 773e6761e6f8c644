"""Findings of whole tables, and tables that have none."""

import importlib
import pkgutil
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cqox.datasets import detect_rows, read_table, sample_names, sample_path
from cqox.datasets.findings import detect
from tests.datasets.conftest import Read

FILES = sorted((Path(__file__).parents[1] / "files").glob("*.*"))


@pytest.mark.parametrize("name", sample_names())
def test_a_built_in_data_set_has_no_finding(name: str) -> None:
    assert read_table(sample_path(name), name=name).findings == ()


def test_a_header_of_two_rows_hides_all_other_findings(read: Read) -> None:
    found = read("shop,sales,n\n,yen,persons\nA,1,2\nB,2,3\nTotal,3,5\n").findings
    assert [finding.code for finding in found] == ["header-rows"]


def test_findings_of_rows_are_a_part_of_all(read: Read) -> None:
    table = read("shop,week,sales\nA,W2,1\nB,W10,2\nC,W3,4\n合計,,7\n")
    assert [finding.code for finding in detect(table.frame, table.columns)] == ["totals-rows", "ordered-periods"]
    assert [finding.code for finding in detect_rows(table.frame, table.columns)] == ["totals-rows"]


def test_every_sentence_is_in_both_languages(read: Read) -> None:
    (finding,) = read("shop,sales\nA,1\nB,2\n合計,3\n").findings
    assert finding.message == "1 row of 'shop' ('合計') is a total of other rows, and no observation."
    assert finding.message.in_language("ja") == "「shop」の 1 行（'合計'）は、ほかの行の合計であり、観測値ではない。"


def test_no_table_is_too_small(read: Read) -> None:
    for text in ("a\n1\n", "a,b\n,\nx,1\n", "a\n合計\n", "a,b\n合計,1\n", "a\nx\n"):
        read(text)


KNOWN = {
    "elnino": {"wide-panel"},  # a column for each month
    "fertility": {"wide-panel"},  # a column for each year
    "engel": {"duplicate-rows"},  # three households twice, to six decimals
    "randhie": {"duplicate-rows"},  # years of one person without the person
}


@pytest.mark.slow
@pytest.mark.parametrize("package", ["statsmodels.datasets", "linearmodels.datasets"])
def test_data_sets_of_the_field_raise_no_false_alarm(package: str, tmp_path: Path) -> None:
    capping: dict[str, set[str]] = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = importlib.import_module(f"{package}.{module.name}")
            if hasattr(loaded, "load_pandas"):
                data = loaded.load_pandas().data
            elif hasattr(loaded, "load"):
                data = loaded.load()
            else:
                continue
        data.to_csv(tmp_path / "t.csv", index=False)
        found = {f.code for f in read_table(tmp_path / "t.csv", name="t").findings if f.severity == "caps"}
        if found:
            capping[module.name] = found
    assert capping == {name: codes for name, codes in KNOWN.items() if name in capping}


def test_a_conversion_trial_has_no_finding(read: Read) -> None:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame(
        {
            "arm": rng.integers(0, 2, 400),
            "converted": rng.integers(0, 2, 400),
            "price": np.where(rng.random(400) < 0.3, 9.99, 0.0),
        }
    )
    assert read(frame.write_csv()).findings == ()
