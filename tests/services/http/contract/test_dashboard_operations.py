"""Terms of panels arrive as they were sent."""

import math

import pytest

from services.http.contract.dashboard_operations import DASHBOARD_OPERATIONS, READ_TERMS, PanelTerms


def test_terms_arrive_as_they_were_sent_without_the_times_before_the_first_value() -> None:
    nan = math.nan
    given = [[{("a", "0.1"): [nan, nan, 1.5, nan, 2.0], ("b", "0.1"): [nan] * 5}], [{}, {("c",): [0.1] * 5}]]
    sent = PanelTerms.of(given, 5).model_dump_json()
    assert sent.count("null") == 1
    found = PanelTerms.model_validate_json(sent).values()
    assert found[0][0]["a", "0.1"] == pytest.approx([nan, nan, 1.5, nan, 2.0], nan_ok=True)
    assert all(map(math.isnan, found[0][0]["b", "0.1"]))
    assert found[1] == [{}, {("c",): [0.1] * 5}]


def test_a_line_is_never_longer_than_the_times() -> None:
    sent = '{"times":2,"queries":[[[{"key":["a"],"first":1,"values":[1,2,3]}]]]}'
    [[term]] = PanelTerms.model_validate_json(sent).values()
    assert len(term["a",]) == 2


def test_panels_need_the_permission_for_operations_and_so_do_their_terms() -> None:
    by_name = {each.name: each.needs for each in DASHBOARD_OPERATIONS}
    assert by_name["read_operations_panel"] == by_name["read_operations"] == READ_TERMS.needs == "operations:read"
