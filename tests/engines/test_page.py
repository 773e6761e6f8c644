import re

import pytest

from cqox.estimators.by_moments.catalog import BY_MOMENTS
from tests.engines.opened import ENGINES
from tests.engines.page import PAGE, table, with_table

FOUND = {"DuckDB": {"aipw": 4.4e-15, "iv_2sls": 0.0}, "Spark": {"aipw": 3.2e-9, "iv_2sls": 2.04e-8}}
TABLE = "| | DuckDB | Spark |\n|---|---:|---:|\n| `aipw` | 4e-15 | 3e-9 |\n| `iv_2sls` | 0 | **2.0e-8** |\n"


def test_a_difference_above_the_bound_is_bold() -> None:
    assert table(FOUND) == TABLE


def test_the_table_replaces_the_one_that_is_there() -> None:
    once = with_table("a\n<!-- differences -->\n<!-- end -->\nb\n", FOUND)
    assert once == f"a\n<!-- differences -->\n{TABLE}<!-- end -->\nb\n"
    assert with_table(once, FOUND) == once


@pytest.mark.parametrize("text", ["", "<!-- differences -->\n", "<!-- end -->"])
def test_a_page_without_a_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the page has no"):
        with_table(text, FOUND)


def test_the_page_has_every_estimate_in_every_engine_within_the_bound() -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- differences -->\n")
    head, _, *rows = rest.partition("<!-- end -->")[0].splitlines()
    assert head == f"| | {' | '.join(ENGINES)} |"
    assert [re.fullmatch(r"\| `(\w+)`((?: \| (?:0|\de-\d+)){4}) \|", row).group(1) for row in rows] == [*BY_MOMENTS]
