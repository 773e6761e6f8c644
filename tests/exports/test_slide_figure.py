from cqox.exports.document import Picture
from cqox.exports.slide_figure import slide_figure
from cqox.figures import render_png
from tests.exports.reports import of_study


def forest(estimates: int, primary: int | None = 3, groups: int = 1) -> Picture:
    rows: list[dict[str, object]] = []
    for group in range(groups):
        rows.append({"row": len(rows), "kind": "heading", "label": f"group {group}"})
        for number in range(estimates):
            role = "primary" if number == primary and group == groups - 1 else "other"
            rows.append({"row": len(rows), "kind": "estimate", "role": role, "name": f"{group}-{number}"})
    spec = {
        "title": {"text": "t", "subtitle": ["40 estimates.", "Orange: the primary."]},
        "data": {"values": rows},
        "height": 22 * len(rows),
    }
    return Picture(name="forest", title="t", alt="a", spec=spec)


def names(picture: Picture) -> list[str]:
    values = slide_figure(picture, "en").spec["data"]["values"]
    assert [row["row"] for row in values] == list(range(len(values)))
    return [row["name"] for row in values if row["kind"] == "estimate"]


def test_a_short_forest_plot_is_as_it_was_without_its_title():
    picture = forest(10)
    found = slide_figure(picture, "en")
    assert found.keys == ("40 estimates.", "Orange: the primary.")
    assert found.spec == {name: part for name, part in picture.spec.items() if name != "title"}
    assert "title" in picture.spec


def test_a_long_one_keeps_ends_and_primary_of_its_group_and_says_so():
    for primary in (0, 7, 8, 29):
        shown = names(forest(30, primary, groups=2))
        assert len(shown) <= 13
        assert {"1-0", "1-29", f"1-{primary}"} <= set(shown)
        assert shown == sorted(shown, key=lambda name: int(name[2:]))
    found = slide_figure(forest(30, 8), "en")
    estimates = len(found.spec["data"]["values"]) - 1
    assert found.keys[0] == f"{estimates} of 30 estimates with their intervals; the estimates are not independent."
    assert found.keys[1] == "Orange: the primary."
    assert found.spec["height"] == 22 * (estimates + 1)
    assert slide_figure(forest(30, 8), "ja").keys[0].startswith("推定値30個のうち")


def test_without_a_primary_the_first_group_is_shown():
    assert names(forest(8, None, groups=3)) == [f"0-{number}" for number in range(8)]


def test_other_figures_lose_their_title_alone_and_can_still_be_drawn():
    _, specs = of_study("hold")
    for name in ("forest", "overlap"):
        spec = specs[name]
        picture = Picture(name=name, title="t", alt="a", spec=spec)
        found = slide_figure(picture, "en")
        assert render_png(found.spec, 1.0).startswith(b"\x89PNG")
        assert "title" not in found.spec
    bare = Picture(name="x", title="t", alt="a", spec={"title": "one", "data": {"values": [1]}})
    assert slide_figure(bare, "en").keys == ()
