"""The figure of goodput: bars in proportion, faults behind them."""

import xml.etree.ElementTree as ElementTree

from cqox.chaos.experiments.drawing import goodput_figure
from cqox.chaos.experiments.records import Second


def second(good: int, failed: int) -> Second:
    return Second(sent=good + failed, good=good, failures={503: failed} if failed else {}, median=0.1, slowest=0.2)


def rectangles(svg: str, name: str) -> list[dict[str, float]]:
    found = ElementTree.fromstring(svg).iter("rect")
    return [
        {key: float(each.attrib[key]) for key in ("x", "y", "width", "height")}
        for each in found
        if each.attrib["class"] == name
    ]


def test_bars_stand_on_the_axis_and_failures_on_them() -> None:
    svg = goodput_figure([second(10, 0), second(6, 4), second(0, 5)], [(1.0, 2.0)], title="A <title>")
    good, failed, faults = (rectangles(svg, name) for name in ("good", "failed", "fault"))
    assert [round(each["height"] / good[0]["height"], 2) for each in good] == [1.0, 0.6]
    assert [round(each["height"] / good[0]["height"], 2) for each in failed] == [0.4, 0.5]
    # On top of each other.
    assert abs(failed[0]["y"] + failed[0]["height"] - good[1]["y"]) < 0.2
    ((fault,),) = (faults,)
    assert fault["x"] <= good[1]["x"]
    assert fault["x"] + fault["width"] >= good[1]["x"] + good[1]["width"]


def test_a_fault_that_is_over_at_once_can_be_seen_and_nothing_is_drawn_of_nothing() -> None:
    (fault,) = rectangles(goodput_figure([second(1, 0)], [(0.5, 0.5)], title="x"), "fault")
    assert fault["width"] > 1
    assert rectangles(goodput_figure([], [], title="x"), "good") == []


def test_labels_of_a_long_run_are_few() -> None:
    svg = goodput_figure([second(1, 0)] * 3000, [], title="x")
    assert 4 < len(list(ElementTree.fromstring(svg).iter("text"))) < 14
