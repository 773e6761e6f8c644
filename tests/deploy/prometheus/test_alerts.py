import re
from pathlib import Path

import pytest

from deploy.prometheus.alert import Alert
from deploy.prometheus.alerts import ALERTS

ROOT = Path(__file__).parents[3]
RUNBOOKS = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("runbook.md", "ja/runbook.md")}
PARTS = {"runbook.md": ("Means:", "Look:", "Do:"), "ja/runbook.md": ("意味：", "見るもの：", "すること：")}
# Its time is the time in which a budget burns.
SLOWER = {"CqoxErrorBudgetBurnsFast"}


def section(page: str, alert: Alert) -> str:
    """The text below the heading of an alert."""
    return RUNBOOKS[page].split(f"\n### {alert.name}\n")[1].split("\n### ")[0].split("\n## ")[0]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each.name)
@pytest.mark.parametrize("page", RUNBOOKS)
def test_an_alert_has_a_section_in_the_runbook_with_its_meaning_where_to_look_and_what_to_do(
    page: str, alert: Alert
) -> None:
    text = section(page, alert)
    assert text.startswith(f"*{alert.severity}.*")
    for part in PARTS[page]:
        assert f"*{part}*" in text, part
    assert re.search(r"^    \S|`[^`]+`", text, re.MULTILINE), "no command and no name to look for"


@pytest.mark.parametrize("page", RUNBOOKS)
def test_the_sections_are_in_the_order_of_the_alerts_and_there_are_no_others(page: str) -> None:
    assert re.findall(r"^### (\w+)$", RUNBOOKS[page], re.MULTILINE) == [each.name for each in ALERTS]


def test_a_page_reaches_its_receiver_within_two_minutes_but_that_of_the_budget() -> None:
    late = {each.name for each in ALERTS if each.severity == "page" and each.within > 120}
    assert late == SLOWER


def test_a_ratio_wants_a_minimum_of_traffic() -> None:
    for each in ALERTS:
        if "ratio_rate" in each.expression or "histogram_quantile" in each.expression:
            assert re.search(r"increase.*>= \d\d", each.expression), each.name


def test_no_alert_rests_on_the_state_of_a_circuit() -> None:
    # A circuit that tests recovery is half open every few seconds: a state with `for` never lasts.
    assert [each.name for each in ALERTS if "cqox_circuit_state" in each.expression] == []
