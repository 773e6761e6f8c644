"""Figures and exports by the worker of a session."""

import json

from cqox.api.session import Session
from cqox.api.source import LocalSource
from cqox.contract.messages import Message, as_json

TITLE = Message("analysis.no-job", job="j")
SPEC = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.json", "title": {"text": str(TITLE)},
    "data": {"values": [{"a": 1}]}, "mark": "point", "encoding": {"x": {"field": "a", "type": "quantitative"}},
    "usermeta": {"messages": {"/title/text": as_json(TITLE)}},
}  # fmt: skip


def test_a_figure_is_drawn_in_the_language_asked_for(session: Session) -> None:
    source = LocalSource(session, document=b"{}", specs=json.dumps({"one": SPEC}).encode())
    assert source.specification("one", "en") == SPEC
    japanese = source.specification("one", "ja")
    assert isinstance(japanese["title"], dict)
    assert japanese["title"]["text"] == TITLE.in_language("ja")
    assert source.drawn("one", "svg", "en").startswith(b"<svg")
    assert source.drawn("one", "png", "ja").startswith(b"\x89PNG")
