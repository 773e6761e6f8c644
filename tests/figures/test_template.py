from copy import deepcopy

import pytest

from cqox.contract.messages import Message
from cqox.figures._template import filled, finished, put, template
from cqox.figures.figure import Spec
from cqox.figures.style import CONFIG

TITLE, NOTE, ALT = (Message("analysis.no-job", job=job) for job in ("title", "note", "alt"))

LAYERED: Spec = {"vconcat": [{"layer": [{"mark": "point"}, {"mark": "line"}]}, {"mark": "point"}]}


def of(spec: Spec) -> Spec:
    return filled(spec, [{"a": 1}], title=TITLE, subtitle=[NOTE, NOTE], alt=ALT)


def test_a_message_of_a_template_has_its_code_and_its_english_sentence() -> None:
    axis = template("weights")["spec"]["layer"][0]["encoding"]["x"]["axis"]  # type: ignore[index,call-overload]
    title = axis["title"]
    assert isinstance(title, Message)
    assert (title, title.code) == (Message("figures.weights-weight"), "figures.weights-weight")
    assert template("weights") is template("weights")
    with pytest.raises(FileNotFoundError):
        template("absent")


def test_rows_and_texts_are_filled_in() -> None:
    spec = of(LAYERED)
    assert spec["data"] == {"values": [{"a": 1}]}
    assert spec["title"] == {"text": TITLE, "subtitle": [NOTE, NOTE]}
    assert spec["description"] == ALT
    assert filled(LAYERED, [], title=TITLE, subtitle=NOTE, alt=ALT)["title"] == {"text": TITLE, "subtitle": NOTE}


def test_figures_of_one_template_share_nothing() -> None:
    before, config = deepcopy(LAYERED), deepcopy(CONFIG)
    one, other = of(LAYERED), of(LAYERED)
    put(one, 5, "vconcat", 0, "layer", 1, "height")
    one["config"]["axis"] = None  # type: ignore[index,call-overload]
    assert before == LAYERED
    assert config == CONFIG
    assert other == of(LAYERED)


def test_a_finished_figure_has_its_texts_and_their_codes() -> None:
    figure = finished("example", of(LAYERED))
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
