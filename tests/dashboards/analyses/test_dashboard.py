"""The dashboard of analyses as a whole."""

import re
from pathlib import Path

from cqox.contract.messages import template
from cqox.dashboards import View
from cqox.dashboards.analyses import ANALYSIS, PANELS
from cqox.dashboards.analyses.questions import QUESTIONS
from cqox.dashboards.views import VIEWS

PAGE = Path(__file__).parents[3] / "docs" / "dashboards.md"


def test_there_are_37_panels_with_ids_of_their_own() -> None:
    assert len(ANALYSIS.panels) == len(PANELS) == 37
    assert [panel.id for panel in ANALYSIS.panels] == list(PANELS)
    assert all(re.fullmatch(r"[a-z][a-z-]*", panel.id) for panel in ANALYSIS.panels)


def test_each_panel_names_the_views_that_it_asks() -> None:
    for asked in PANELS.values():
        named = [query.name for query in asked.panel.queries if isinstance(query, View)]
        assert named == list(dict.fromkeys(query.view for query in asked.queries)), asked.panel.id
        assert set(named) <= VIEWS.keys()


def test_each_view_is_asked_by_a_panel() -> None:
    assert {query.view for asked in PANELS.values() for query in asked.queries} == set(VIEWS)


def test_panels_over_time_ask_for_steps_and_others_do_not() -> None:
    for asked in PANELS.values():
        if asked.queries != (QUESTIONS,):
            assert {query.each_step for query in asked.queries} == {asked.panel.kind == "timeseries"}, asked.panel.id


def test_each_panel_leads_to_reports_and_has_its_own_sentences_in_both_languages() -> None:
    for asked in PANELS.values():
        assert asked.panel.links
        for message in (asked.panel.title, asked.panel.help, asked.nothing):
            assert message.code.startswith(f"studies.{asked.panel.id}-")
            assert template("ja", message.code), message.code


def test_the_page_lists_every_panel() -> None:
    text, _, _ = PAGE.read_text(encoding="utf-8").partition("## Views of the result store")
    assert re.findall(r"^\| `([a-z-]+)` \|", text, flags=re.MULTILINE) == list(PANELS)
