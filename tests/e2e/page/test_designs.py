"""Answers of every design: the figure of the design comes first, and every figure is drawn under the policy."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from playwright.sync_api import Route, expect

from tests.e2e.page.conftest import Visitors
from tests.e2e.stack import Stack

Columns = Mapping[str, Sequence[object] | np.ndarray]
Make = Callable[[np.random.Generator], tuple[Columns, dict[str, object]]]


def cutoff(draw: np.random.Generator) -> tuple[Columns, dict[str, object]]:
    score = draw.uniform(-1, 1, 600)
    outcome = score + 2 * (score >= 0) + draw.normal(scale=0.5, size=600)
    return {"y": outcome, "score": score}, {"y": "y", "running": "score", "cutoff": 0}


def series(draw: np.random.Generator) -> tuple[Columns, dict[str, object]]:
    time = np.arange(60)
    outcome = 10 + 0.1 * time + 5 * (time >= 40) + draw.normal(size=60)
    return {"y": outcome, "t": time}, {"y": "y", "time": "t", "intervention_time": 40}


def synthetic(draw: np.random.Generator) -> tuple[Columns, dict[str, object]]:
    unit, time = np.repeat(np.arange(12), 20), np.tile(np.arange(20), 12)
    treated = ((unit == 3) & (time >= 14)).astype(int)
    common = draw.normal(size=(20, 2)).cumsum(axis=0)
    levels = (draw.uniform(size=(12, 2)) @ common.T).ravel()
    outcome = 10 + levels + 3 * treated + draw.normal(scale=0.2, size=240)
    columns = {"y": outcome, "unit": unit, "time": time, "w": treated}
    return columns, {"y": "y", "unit_id": "unit", "time": "time", "treatment": "w"}


def three_arms(draw: np.random.Generator) -> tuple[Columns, dict[str, object]]:
    columns = {"y": draw.normal(size=300), "w": np.arange(300) % 3, "x": draw.normal(size=300)}
    return columns, {"y": "y", "treatment": "w", "covariates": ["x"]}


def mediated(draw: np.random.Generator) -> tuple[Columns, dict[str, object]]:
    w = np.arange(400) % 2
    mediator = w + draw.normal(size=400)
    outcome = 0.5 * w + mediator + draw.normal(size=400)
    return {"y": outcome, "w": w, "m": mediator}, {"y": "y", "treatment": "w", "mediator": "m"}


def proximal(draw: np.random.Generator) -> tuple[Columns, dict[str, object]]:
    hidden = draw.normal(size=500)
    w = (hidden + draw.normal(size=500) > 0).astype(int)
    columns = {
        "y": w + hidden + draw.normal(size=500),
        "w": w,
        "z": hidden + draw.normal(scale=0.5, size=500),
        "v": hidden + draw.normal(scale=0.5, size=500),
    }
    return columns, {"y": "y", "treatment": "w", "proxy_treatment": ["z"], "proxy_outcome": ["v"]}


def answer(stack: Stack, columns: Columns, mapping: Mapping[str, object]) -> str:
    """Return the id of the analysis of columns."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    with stack.client() as api:
        files = {"file": ("design.csv", text.getvalue().encode())}
        dataset = api.post("/api/datasets", files=files).raise_for_status().json()
        body = {"dataset_id": dataset["dataset_id"], "mapping": mapping}
        return str(api.post("/api/analyze/comprehensive", json=body).raise_for_status().json()["analysis_id"])


@pytest.mark.parametrize(
    ("make", "figure"),
    [
        (cutoff, "figure-discontinuity"),
        (series, "figure-interrupted-series"),
        (synthetic, "figure-synthetic-control"),
        (three_arms, "figure-forest"),
        (mediated, "figure-forest"),
        (proximal, "figure-forest"),
    ],
)
def test_the_figure_of_the_design_comes_first_and_all_are_drawn(
    page_stack: Stack, visitors: Visitors, make: Make, figure: str
) -> None:
    columns, mapping = make(np.random.default_rng(5))
    analysis_id = answer(page_stack, columns, mapping)
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.goto(f"/a/{analysis_id}")
    titles = visitor.page.locator(".figure figcaption")
    expect(titles.first).to_have_text(visitor.text(figure))
    visitor.draw()
    if (more := visitor.page.locator("#figures-title ~ p button")).count():
        more.click()
    for place in visitor.page.locator(".figure").all():
        place.scroll_into_view_if_needed()
        place.locator(".plot svg").first.wait_for()
    names = titles.all_inner_texts()
    assert len(set(names)) == len(names)
    assert not [name for name in names if "-2" in name]


def test_an_answer_without_an_estimate_says_so(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)

    def without(route: Route) -> None:
        report = route.fetch().json()
        report["decision"] |= {"primary": None, "headline": None, "verdict": "HOLD", "primary_rule": "None fits."}
        report |= {"effect": None, "identification": None, "figures": {}}
        route.fulfill(json=report)

    analysis_id = answer(page_stack, *three_arms(np.random.default_rng(6)))
    visitor.page.route(f"**/api/analyses/{analysis_id}", without)
    visitor.goto(f"/a/{analysis_id}")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(visitor.text("step-answer"))
    expect(visitor.page.locator("#answer")).to_contain_text(visitor.text("primary-none"))


def test_figures_stay_readable_with_forced_colours(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.page.emulate_media(forced_colors="active", color_scheme="dark")
    analysis_id = answer(page_stack, *series(np.random.default_rng(7)))
    visitor.goto(f"/a/{analysis_id}")
    visitor.draw()
    paper = visitor.page.locator(".paper").first
    assert paper.evaluate("place => getComputedStyle(place).backgroundColor") == "rgb(255, 255, 255)"
    visitor.shoot("forced-colours")
    visitor.page.emulate_media(forced_colors="none", media="print")
    visitor.page.locator("details").last.evaluate("place => (place.open = true)")
    scrolls = visitor.page.locator(".scroll")
    assert scrolls.evaluate_all("all => all.every((each) => getComputedStyle(each).overflow === 'visible')")
