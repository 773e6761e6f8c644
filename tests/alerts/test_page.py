"""The table of staged alerts."""

import pytest

from tests.alerts.page import PAGE, rows_of, with_staged
from tests.alerts.scenes import SCENES, words_of

_EMPTY = "head\n<!-- figures -->\n<!-- end -->\ntail\n"
_FIRST, _SECOND = SCENES[:2]


def test_a_run_replaces_its_own_rows_and_keeps_the_others() -> None:
    first, second = ((words_of(each), each.alerts[0]) for each in (_FIRST, _SECOND))
    text = with_staged(_EMPTY, {first: ("70", "40"), second: ("80", "50")}, (_FIRST, _SECOND))
    text = with_staged(text, {second: ("90", "30")}, (_FIRST, _SECOND))
    assert rows_of(text) == {first: ("70", "40"), second: ("90", "30")}
    assert text.startswith("head\n<!-- figures -->\n| cause |")
    assert text.endswith("\n<!-- end -->\ntail\n")


def test_what_was_not_measured_has_no_seconds_and_a_cause_that_is_gone_has_no_row() -> None:
    text = with_staged(_EMPTY, {("Something else", "CqoxDown"): ("70", "40")}, (_FIRST,))
    assert rows_of(text) == {(words_of(_FIRST), _FIRST.alerts[0]): ("–", "–")}


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="figures"):
        with_staged("nothing", {})


def test_the_page_has_a_row_for_each_alert_of_each_cause() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_staged(text, {}) == text, 'run: make staging STAGING="--page"'
    assert len(rows_of(text)) == sum(len(scene.alerts) for scene in SCENES)
