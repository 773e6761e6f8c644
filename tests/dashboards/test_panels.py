"""A dashboard finds its panels by their ids."""

import pytest

from cqox.contract.messages import Message
from cqox.dashboards import Dashboard, Panel, Row, View


def panel(panel_id: str) -> Panel:
    text = Message("text.verbatim", text=panel_id)
    return Panel(id=panel_id, title=text, help=text, queries=(View(name=panel_id),))


def test_a_panel_is_found_by_its_id_in_every_row() -> None:
    text = Message("text.verbatim", text="row")
    rows = (Row(id="one", title=text, panels=(panel("a"),)), Row(id="two", title=text, panels=(panel("b"), panel("c"))))
    dashboard = Dashboard(id="operations", title=text, rows=rows)
    assert [each.id for each in dashboard.panels] == ["a", "b", "c"]
    assert dashboard.panel("c") is rows[1].panels[1]
    with pytest.raises(KeyError):
        dashboard.panel("d")
