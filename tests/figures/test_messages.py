"""Figures in Japanese: every kind of figure of the examples, translated from its stored JSON."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest

from cqox.contract.labels import described
from cqox.contract.messages import Message, codes, template, translate_figure, width
from cqox.estimators import Json, Plan, Settings, catalog
from cqox.figures import render_png, render_svg
from cqox.figures._typeface import Typeface
from cqox.figures._words import WEIGHTINGS
from cqox.figures.drawing import draw
from cqox.figures.figure import Figure, Spec
from cqox.figures.forest import forest
from cqox.figures.style import CONFIG
from tests.estimators import designs
from tests.figures.drawn import DESIGNS, drawn, japanese, of_design, one
from tests.figures.test_typeface import FONTS

KINDS = {
    "forest", "overlap", "love_plot", "love_plot_others", "weights", "weights_others", "event_means", "event_study",
    "discontinuity", "score_density", "heterogeneity", "synthetic_control", "interrupted_series", "dose_curve",
    "sensitivity_contour",
}  # fmt: skip
NAMES = {
    "ATE", "ATT", "ATC", "ATO", "LATE", "ACME", "ADE", "OLS", "AIPW", "IPWRA", "IV", "LIML", "Fuller", "Wald", "Lin",
    "Hajek", "Qini", "Callaway", "Sant", "Anna", "Borusyak", "Jaravel", "Spiess", "learner", "DR", "score", "psm",
    "nearest", "strata", "entropy", "overlap",
}  # fmt: skip
"""Names of estimands, methods, people and columns, which figures keep."""

UNSEEN = {"kind", "role", "name", "estimand", "se_method", "status", "side", "of", "period", "value"}
"""Fields of rows that choose marks or appear in tooltips only."""


@cache
def examples() -> dict[str, Figure]:
    found = {f"{design}: {name}": each for design in DESIGNS for name, each in of_design(design).figures.items()}
    others = {"dosed": designs.dosed(600), "series": designs.series(30, 18), "factors": designs.factor_panel(treated=1)}
    for design, data in others.items():
        found |= {f"{design}: {name}": each for name, each in drawn(japanese(data)).figures.items()}
    policy = replace(one("ope_dr", 2.5, estimand="policy value"), diagnostics={"logged_value": 2.25})
    warned = [one(f"推定量{number}", 1.0 + number, status="warning") for number in range(14)]
    plan = Plan(japanese(designs.cross_section(50)), Settings())
    found |= {"policy": forest(plan, "施策", [policy], "ope_dr"), "many": forest(plan, "施策", warned, None)}
    block = of_design("block")
    for name, each in draw(block.plan, block.estimates, block.diagnostics, contrast="乙 vs 甲").items():
        found[f"contrast: {name}"] = each
    return found


@cache
def stored(name: str) -> str:
    return json.dumps(examples()[name].spec)


def in_japanese(name: str) -> Spec:
    return translate_figure(json.loads(stored(name)), "ja")


def seen(spec: Json, key: str = "") -> Iterator[str]:
    """Yield the texts that a reader of the picture sees or hears."""
    if isinstance(spec, dict):
        for name, each in spec.items():
            if name == "values" and key == "data":
                yield from (text for row in each for field in row.keys() - UNSEEN for text in strings(row[field]))
            elif name in ("title", "description", "subtitle", "text", "labelExpr") and isinstance(each, str | list):
                yield from strings(each)
            elif name not in ("usermeta", "config"):
                yield from seen(each, name)
    elif isinstance(spec, list):
        for each in spec:
            yield from seen(each)


def strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value if isinstance(value, list) else []:
        yield from strings(each)


def axis_titles(spec: Json) -> Iterator[Json]:
    if isinstance(spec, dict):
        if "title" in spec and "tickCount" in spec:
            yield spec["title"]
        for each in spec.values():
            yield from axis_titles(each)
    for each in spec if isinstance(spec, list) else []:
        yield from axis_titles(each)


def test_every_kind_of_figure_is_among_the_examples():
    assert {figure.name for figure in examples().values()} == KINDS


@pytest.mark.parametrize("name", ["figures", "cohorts"])
def test_the_japanese_catalog_has_every_text_of_figures(name):
    assert {code for code in codes("en") if code.startswith(f"{name}.")} <= set(codes("ja"))


def test_figures_in_english_are_as_they_are_stored():
    for name in examples():
        assert translate_figure(json.loads(stored(name)), "en") == json.loads(stored(name))


def test_only_names_stay_english_in_a_japanese_figure():
    left = {}
    for name in examples():
        for text in seen(in_japanese(name)):
            words = re.sub(r"indexof|format|abs|datum\.value|乙 vs 甲|\d[\d.,]*e", "", text)
            found = set(re.findall(r"[A-Za-z]{2,}", words)) - NAMES
            if found:
                left[name, text] = found
    assert left == {}


def test_no_text_of_a_japanese_figure_is_marked_as_untranslated():
    assert [name for name in examples() if "[en]" in json.dumps(in_japanese(name))] == []


@pytest.mark.parametrize("language", ["en", "ja"])
def test_labels_before_and_after_are_an_array_of_strings_of_an_expression(language):
    axis = template(language, "figures.before-and-after-axis")
    words = {word: template(language, f"figures.{word}") for word in ("before", "after")}
    assert json.loads(axis.format(**words).partition("[indexof")[0]) == list(words.values())


def test_colours_follow_the_texts_of_the_rows():
    for name, field in (
        ("cross-section: overlap", "arm"),
        ("cross-section: weights", "arm"),
        ("cross-section: love_plot", "when"),
        ("staggered: event_means", "group"),
        ("two periods: event_means", "group"),
    ):
        spec = in_japanese(name)
        rows = {row[field] for row in spec["data"]["values"] if field in row}
        domains = [set(found) for found in scale_domains(spec) if all(isinstance(each, str) for each in found)]
        assert domains
        assert all(rows <= domain for domain in domains)


def scale_domains(spec: Json) -> Iterator[list[Json]]:
    if isinstance(spec, dict):
        if isinstance(domain := spec.get("domain"), list):
            yield domain
        for each in spec.values():
            yield from scale_domains(each)
    for each in spec if isinstance(spec, list) else []:
        yield from scale_domains(each)


def test_long_names_are_wrapped_and_no_line_is_wider_than_its_place():
    data = designs.cross_section()
    long = {"y": ("一人あたりの年間売上高（税抜、円）",), "treatment": ("広告配信の有無と配信回数の区分",)}
    figures = drawn(replace(data, names={**data.names, **long})).figures
    axis = CONFIG["axis"]
    for figure in figures.values():
        after = translate_figure(json.loads(json.dumps(figure.spec)), "ja")
        assert widest(after["title"]["text"]) * CONFIG["title"]["fontSize"] / 2 <= 680
        assert widest(after["title"]["subtitle"]) * CONFIG["title"]["subtitleFontSize"] / 2 <= 680
        for title in axis_titles(after):
            assert title is None or widest(title) * axis["titleFontSize"] / 2 <= axis["titleLimit"]
        assert render_png(after, 1.0)
    (title,) = axis_titles(translate_figure(narrowed(figures["forest"].spec), "ja"))
    assert isinstance(title, list)


def test_an_axis_title_has_the_length_of_its_axis():
    spec = json.loads(stored("cross-section: sensitivity_contour"))
    widths = [spec["usermeta"]["messages"][f"/layer/0/encoding/{axis}/axis/title"]["width"] for axis in "xy"]
    assert widths == [int(2 * pixels / CONFIG["axis"]["titleFontSize"]) for pixels in (480, 360)]


def narrowed(spec: Spec) -> Spec:
    """Leave every message a third of its room."""
    copy = json.loads(json.dumps(spec))
    for message in copy["usermeta"]["messages"].values():
        if "width" in message:
            message["width"] //= 3
    return copy


def widest(lines: Json) -> int:
    return max(map(width, strings(lines)))


def test_names_of_estimators_fit_their_column_and_names_of_weightings_their_panel():
    for label in (described(entry.name) for entry in catalog()):
        assert isinstance(label, Message), label
        assert width(label.in_language("ja")) * 5.5 <= 216, label
    for label in WEIGHTINGS.values():
        assert width(label.in_language("ja")) * 6 <= 250, label


@pytest.mark.parametrize("weight", ["Regular", "Bold"])
def test_the_fonts_hold_every_letter_of_the_japanese_catalog(weight):
    face = Typeface(FONTS / f"CQOxGothic-{weight}.ttf")
    letters = {letter for code in codes("ja") for letter in template("ja", code) or ""}
    assert [letter for letter in sorted(letters) if letter.isprintable() and not face.holds(letter)] == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_japanese_figure_can_be_rendered_with_its_texts(kind):
    name = next(name for name, figure in examples().items() if figure.name == kind)
    spec = in_japanese(name)
    svg = render_svg(spec).decode()
    assert f'aria-label="{spec["description"][:10]}' in svg
    assert next(strings(spec["title"]["text"])) in svg


def test_messages_of_rows_are_few():
    for name in examples():
        assert len(json.loads(stored(name))["usermeta"]["messages"]) < 60
