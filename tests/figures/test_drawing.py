import json
from importlib.resources import files

import pytest
from jsonschema import Draft7Validator

from cqox.diagnostics import diagnose
from cqox.estimators import Plan, Settings, catalog, run
from cqox.figures import draw, warm
from tests.estimators import designs
from tests.figures.drawn import DESIGNS, drawn, of_design, values

MOST_POINTS = 2000


@pytest.fixture(scope="session")
def schema():
    text = files("altair").joinpath("vegalite/v6/schema/vega-lite-schema.json").read_text(encoding="utf-8")
    return Draft7Validator(json.loads(text))


@pytest.mark.parametrize("design", DESIGNS)
def test_every_specification_is_valid_vega_lite(design, schema):
    for figure in of_design(design).figures.values():
        assert figure.spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/v6")
        assert [error.message for error in schema.iter_errors(figure.spec)] == []


@pytest.mark.parametrize("design", DESIGNS)
def test_every_number_is_inside_finite_and_few(design):
    for figure in of_design(design).figures.values():
        text = json.dumps({**figure.spec, "$schema": ""}, allow_nan=False, ensure_ascii=False)
        assert "http" not in text
        assert '"url"' not in text
        assert 0 < len(values(figure)) <= MOST_POINTS


@pytest.mark.parametrize("design", DESIGNS)
def test_every_figure_says_in_words_what_it_shows(design):
    for name, figure in of_design(design).figures.items():
        assert figure.name == name
        assert figure.title == figure.spec["title"]["text"]
        assert figure.alt == figure.spec["description"]
        assert any(digit in figure.alt for digit in "123456789")
        assert "nan" not in figure.alt.lower()
        assert "None" not in figure.alt


def test_japanese_names_reach_titles_axes_and_words():
    figures = of_design("cross-section").figures
    assert figures["forest"].title == "Effect of 広告配信 on 売上高（円）"
    assert "広告配信" in figures["overlap"].title
    assert "共変量0：年齢" in figures["love_plot"].alt
    assert {row["covariate"] for row in values(figures["love_plot"])} == {f"共変量{k}：年齢" for k in range(4)}
    assert "年度" in of_design("staggered").figures["event_means"].title


def test_a_figure_is_drawn_only_where_its_inputs_exist():
    of_arms = {
        "forest", "overlap", "love_plot", "love_plot_others", "weights", "weights_others", "heterogeneity",
        "sensitivity_contour",
    }  # fmt: skip
    assert set(of_design("cross-section").figures) == of_arms
    assert set(of_design("amount").figures) == {"forest", "dose_curve", "sensitivity_contour"}
    assert set(of_design("instrument").figures) == {"forest", "sensitivity_contour"}
    assert set(of_design("many periods").figures) == {"forest", "event_means", "event_study", "synthetic_control"}
    assert "event_means" in of_design("two periods").figures


def test_nothing_is_drawn_where_nothing_was_computed():
    plan = Plan(designs.cross_section(50), Settings())
    assert draw(plan, (), {}) == {}
    assert draw(plan, (), {"overlap": {"reason": "no"}, "balance": {"reason": "no"}, "event_means": "?"}) == {}


def test_a_figure_leaves_nothing_behind_in_the_next_one():
    first = json.dumps(drawn(designs.cross_section()).figures["forest"].spec)
    drawn(designs.cross_section(p=2, seed=8, effect=100.0))
    drawn(designs.panel())
    assert json.dumps(drawn(designs.cross_section()).figures["forest"].spec) == first


def test_the_levels_compared_stand_in_every_title():
    data = designs.panel()
    plan = Plan(data, Settings())
    estimates = [run(entry, plan) for entry in catalog()]
    for figure in draw(plan, estimates, diagnose(plan, estimates), contrast="B vs A").values():
        assert "(B vs A)" in figure.title


def test_warming_builds_every_shape_and_changes_none():
    before = json.dumps(of_design("block").figures["event_means"].spec)
    warm()
    assert json.dumps(drawn_again()["event_means"].spec) == before


def drawn_again():
    block = of_design("block")
    return draw(block.plan, block.estimates, block.diagnostics, primary=block.primary)
