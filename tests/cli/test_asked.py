from dataclasses import replace

import pytest

from cqox.cli.asked import Asked
from cqox.errors import InvalidRequest

ASKED = Asked(
    data="trial.csv", server=None, token_file=None, source=None, table=None, query=None, roles={}, options=[],
    read_options=[], as_json=False, language="en",
)  # fmt: skip


def test_the_data_are_those_of_the_command_line() -> None:
    assert ASKED.data_or_table() == "trial.csv"


def test_a_table_in_place_has_no_data() -> None:
    there = replace(ASKED, data=None, source="shop", table="public.sales", server="http://127.0.0.1:1")
    assert there.data_or_table() is None


def test_data_and_a_table_do_not_go_together() -> None:
    with pytest.raises(InvalidRequest):
        replace(ASKED, source="shop", table="public.sales", server="http://127.0.0.1:1").data_or_table()
