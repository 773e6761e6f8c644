"""The report of a game day: its figures in JSON, on its page and in the tables of the documentation."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.game_day.board import Picture
from tests.game_day.clients import Tally
from tests.game_day.exercises import EXERCISES, Held
from tests.game_day.pages import PAGES, with_table
from tests.game_day.report import LANGUAGES, as_html, as_json, table, write_report
from tests.game_day.test_exercises import ABSENT, DOWN, PAGE, held

BEGAN = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)
DURING = Tally(sent=200, good=20, failures={"503": 150, "ReadTimeout": 30})


def measured(found: Held) -> Held:
    return replace(
        found,
        requests={"during": DURING},
        numbers={"before": {"Answering": "cqox-engine 2"}, "during": {"Answering": "cqox-engine 0"}},
        pictures={"during": [Picture(file="engines_killed-during-now-desk.png", size="desk", of="now")]},
    )


GOOD = measured(held(DOWN, PAGE))
BAD = measured(held(ABSENT))


def test_a_row_of_the_table_has_what_was_measured() -> None:
    found = as_json([GOOD, BAD], factor=1.0, began=BEGAN)
    lines = table(found, "en").splitlines()
    assert lines[2] == "| All engines are killed | `CqoxDown` | `page` | 80 | 120 | 60 | 20 / 200 | 3 |"
    assert "| **never** | 120 | **never** |" in lines[3]
    assert EXERCISES[0].title[1] in table(found, "ja")


def test_the_page_shows_what_failed_what_the_board_said_and_its_pictures(tmp_path: Path) -> None:
    write_report([GOOD, BAD], tmp_path, factor=20.0, began=BEGAN)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "1 of 2 exercises went as they had to. All times of alerts are divided by 20." in page
    assert "CqoxDown did not come to page." in page
    assert "CqoxDown came to page after 80 s, resolved after 60 s." in page
    assert "150 503, 30 ReadTimeout" in page
    assert "<td>Answering</td><td>cqox-engine 2</td><td>cqox-engine 0</td>" in page
    assert '<img src="engines_killed-during-now-desk.png"' in page
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (written["is_well"], written["exercises"][0]["pages"]) == (False, ["CqoxDown"])


def test_a_name_of_an_alert_is_shown_as_text() -> None:
    assert "<b>" not in as_html([held(replace(DOWN, alert="<b>"))], factor=1.0, began=BEGAN)


def test_a_table_takes_the_place_of_the_one_before_and_a_page_without_a_place_is_refused() -> None:
    found = as_json([GOOD], factor=1.0, began=BEGAN)
    page = with_table("a\n<!-- figures -->\nold\n<!-- end -->\nb\n", found, "en")
    assert "old" not in page
    assert with_table(page, found, "en") == page
    with pytest.raises(ValueError, match="figures"):
        with_table("a\n", found, "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_have_the_figures_of_every_exercise(language: str) -> None:
    text = PAGES[language].read_text(encoding="utf-8")
    place = LANGUAGES.index(language)
    for each in EXERCISES:
        [row] = re.findall(rf"^\| {re.escape(each.title[place])} \|.*$", text, re.MULTILINE)
        assert all(f"`{alert}`" in row for alert in each.alerts)
        assert "**" not in row
