import json
from copy import deepcopy
from types import SimpleNamespace
from typing import cast

import altair as alt
import pytest

from cqox.contract.messages import Message
from cqox.figures._template import compiled, filled, finished, put
from cqox.figures.figure import Spec
from cqox.figures.style import CONFIG

TITLE, NOTE, ALT = (Message("analysis.no-job", job=job) for job in ("title", "note", "alt"))


def layered() -> Spec:
    points = alt.Chart().mark_point().encode(x="a:Q")
    return compiled(alt.vconcat(alt.layer(points, points.mark_line()), points))


def of(template: Spec) -> Spec:
    return filled(template, [{"a": 1}], title=TITLE, subtitle=[NOTE, NOTE], alt=ALT)


def test_a_template_holds_no_data_at_any_depth() -> None:
    assert '"data"' not in json.dumps(layered())
    empty = {"data": {"name": "empty"}}
    nested = {**empty, "spec": {**empty, "layer": [{**empty, "mark": "bar"}]}, "hconcat": [empty]}
    chart = SimpleNamespace(to_dict=lambda *, validate: deepcopy(nested))
    assert compiled(cast("alt.Chart", chart)) == {"spec": {"layer": [{"mark": "bar"}]}, "hconcat": [{}]}


def test_rows_and_texts_are_filled_in() -> None:
    spec = of(layered())
    assert spec["data"] == {"values": [{"a": 1}]}
    assert spec["title"] == {"text": TITLE, "subtitle": [NOTE, NOTE]}
    assert spec["description"] == ALT
    assert filled(layered(), [], title=TITLE, subtitle=NOTE, alt=ALT)["title"] == {"text": TITLE, "subtitle": NOTE}


def test_figures_of_one_template_share_nothing() -> None:
    template = layered()
    before, config = deepcopy(template), deepcopy(CONFIG)
    one, other = of(template), of(template)
    put(one, 5, "vconcat", 0, "layer", 1, "height")
    one["config"]["axis"] = None  # type: ignore[index,call-overload]
    assert template == before
    assert config == CONFIG
    assert other == of(template)


def test_a_finished_figure_has_its_texts_and_their_codes() -> None:
    figure = finished("example", of(layered()))
    assert (figure.name, figure.title, figure.alt) == ("example", TITLE, ALT)
    messages = figure.spec["usermeta"]["messages"]  # type: ignore[index,call-overload]
    assert {pointer: entry["code"] for pointer, entry in messages.items()} == {
        "/title/text": TITLE.code, "/title/subtitle/0": NOTE.code, "/title/subtitle/1": NOTE.code,
        "/description": ALT.code,
    }  # fmt: skip


def test_a_value_is_put_at_its_path_and_the_path_must_exist() -> None:
    spec: Spec = {"layer": [{"x": {"title": "a"}}, {"x": {}}]}
    put(spec, "b", "layer", 1, "x", "title")
    put(spec, 300, "width")
    assert spec == {"layer": [{"x": {"title": "a"}}, {"x": {"title": "b"}}], "width": 300}
    with pytest.raises(KeyError):
        put(spec, 1, "absent", "x")
    with pytest.raises(IndexError):
        put(spec, 1, "layer", 2, "x")
