import json

from cqox.contract.messages import width
from cqox.figures.love_plot import love_plot, love_plot_others
from tests.figures.drawn import of_design, values


def covariate(name, before, after=None):
    row = {"name": name, "before_ATE": before, "before_ATT": before}
    return row if after is None else {**row, "after_ATE": after, "after_ATT": after}


def balance(*covariates, weightings=("ATE",)):
    found = {"weightings": list(weightings), "covariates": list(covariates), "largest": {}}
    for key in ("before_ATE", "after_ATE", "before_ATT", "after_ATT"):
        known = [abs(each[key]) for each in covariates if each.get(key) is not None]
        found["largest"][key] = {"value": max(known, default=None)}
    return {"balance": found}


def test_the_least_alike_covariate_is_on_top():
    figure = love_plot("t", balance(covariate("a", 0.1, 0.0), covariate("b", -0.9, 0.1), covariate("c", 0.4, 0.0)))
    order = {row["covariate"]: row["order"] for row in values(figure)}
    assert sorted(order, key=lambda name: order[name]) == ["b", "c", "a"]


def test_differences_are_shown_by_size_and_kept_with_their_sign():
    figure = love_plot("t", balance(covariate("b", -0.9, 0.1)))
    points = {row["when"]: row for row in values(figure) if row["kind"] == "point"}
    assert (points["Before weighting"]["value"], points["Before weighting"]["signed"]) == (0.9, -0.9)
    assert points["After weighting"]["value"] == 0.1
    assert "0.90 before, 0.10 after weighting" in figure.alt
    assert "b 0.90 to 0.10" in figure.alt


def test_of_many_covariates_the_least_alike_are_shown_and_the_cut_is_said():
    many = [covariate(f"x{k}", k / 100, 0.0) for k in range(60)]
    figure = love_plot("t", balance(*many))
    shown = {row["covariate"] for row in values(figure)}
    assert shown == {f"x{k}" for k in range(40, 60)}
    assert "The 20 least balanced covariates are shown." in figure.spec["title"]["subtitle"]
    assert "60 covariates" in figure.title


def test_long_names_differ_on_the_axis_and_are_whole_when_pointed_at():
    names = [f"顧客満足度調査における総合評価点の{number}か月前からの前年同月比増減率（％）" for number in range(38)]
    figure = love_plot("t", balance(*(covariate(name, (at + 1) / 50, 0.0) for at, name in enumerate(names))))
    points = [row for row in values(figure) if row["kind"] == "point"]
    assert len({row["covariate"] for row in points}) == 20
    # Labels of the axis have 240 pixels, and a full-width letter 11.
    assert max(width(row["covariate"]) for row in points) * 5.5 <= figure.spec["config"]["axis"]["labelLimit"]
    assert {row["name"] for row in points} == set(names[18:])
    assert figure.spec["spec"]["height"] <= 400


def test_one_that_weighting_made_worse_is_not_cut_away():
    many = [covariate(f"x{k}", 0.2 + k / 100, 0.0) for k in range(50)]
    figure = love_plot("t", balance(*many, covariate("worse", 0.0, 2.0)))
    assert "worse" in {row["covariate"] for row in values(figure)}


def test_the_weighting_of_the_primary_comes_first_and_the_others_have_a_panel_each():
    figures = of_design("cross-section").figures
    assert of_design("cross-section").primary == "aipw"
    assert {row["panel"] for row in values(figures["love_plot"])} == {"Weighted to all rows (ATE)"}
    assert {row["panel"] for row in values(figures["love_plot_others"])} == {
        "Weighted to the treated (ATT)", "Weighted to the overlap (ATO)", "Balanced to all rows (ATE)",
        "Balanced to the treated (ATT)", "Within strata (ATE)",
    }  # fmt: skip


def test_the_named_weighting_is_shown_and_else_the_first():
    found = balance(covariate("a", 0.3, 0.1), weightings=("ATE", "ATO"))
    found["balance"]["covariates"][0] |= {"before_ATO": 0.3, "after_ATO": 0.0}
    overlap, all_rows = "Weighted to the overlap (ATO)", "Weighted to all rows (ATE)"
    for own, first, other in (("ATO", overlap, all_rows), ("ATE", all_rows, overlap), ("LATE", all_rows, overlap)):
        assert {row["panel"] for row in values(love_plot("t", found, own))} == {first}
        assert {row["panel"] for row in values(love_plot_others("t", found, own))} == {other}
    assert love_plot_others("t", balance(covariate("a", 0.3, 0.1))) is None


def test_without_weights_the_arms_are_shown_as_they_are():
    figure = love_plot("t", balance(covariate("a", 0.3), covariate("b", -0.1), weightings=()))
    assert {row["panel"] for row in values(figure)} == {"Not weighted"}
    assert {row["when"] for row in values(figure)} == {"Before weighting"}


def test_a_covariate_that_cannot_be_standardised_is_left_out():
    constant = {"name": "constant", "before_ATE": None, "after_ATE": None, "reason": "It is constant."}
    figure = love_plot("t", balance(covariate("a", 0.3, 0.1), constant))
    assert {row["covariate"] for row in values(figure)} == {"a"}
    assert love_plot("t", balance(constant)) is None


def test_a_name_that_comes_twice_is_shown_once():
    figure = love_plot("t", balance(covariate("age", 0.3, 0.1), covariate("age", 0.3, 0.1)))
    assert sum(row["kind"] == "change" for row in values(figure)) == 1


def test_of_many_panels_the_subtitle_gives_the_least_and_the_most_that_is_left():
    kinds = ("ATC", "ATE", "ATT", "ATO")
    row = {"name": "age"} | {f"before_{kind}": 0.7 for kind in kinds}
    row |= {f"after_{kind}": after for kind, after in zip(kinds, (0.9, 0.03, 0.08, 0.0), strict=True)}
    found = {"weightings": list(kinds), "covariates": [row], "largest": {}}
    found["largest"] = {key: {"value": value} for key, value in row.items() if key != "name"}
    subtitle = love_plot_others("t", {"balance": found}).spec["title"]["subtitle"]
    assert (
        subtitle
        == "Largest standardised mean difference: 0.70 before weighting, 0.00 to 0.08 after weighting, by panel."
    )


def test_the_names_stand_clear_of_the_marks_at_0():
    spec = json.dumps(love_plot("t", balance(covariate("region=5", 0.9, 0.0))).spec)
    assert '"labelPadding": 10' in spec
