import numpy as np
import pytest

from cqox.estimators import Data
from tests.figures.drawn import drawn, of_design, values


def score(values_: np.ndarray, cutoff: float) -> Data:
    n = len(values_)
    return Data(
        n=n, y=np.full(n, np.nan), y_kind="none", running=values_, cutoff=cutoff,
        row_key=np.arange(n, dtype=np.uint64), names={"running": ("点数",)},
    )  # fmt: skip


def of_kind(figure, kind: str):
    return [row for row in values(figure) if row["kind"] == kind]


def test_a_score_without_an_outcome_has_this_figure_alone():
    figures = drawn(score(np.random.default_rng(1).normal(0, 1, 800), 0.0)).figures
    assert set(figures) == {"score_density"}
    assert figures["score_density"].title == "Density of 点数 around the cutoff 0"
    assert "density test: p = " in figures["score_density"].alt


def test_bars_count_the_rows_between_their_edges():
    data = score(np.random.default_rng(2).normal(0.2, 1, 900), 0.1)
    bars = of_kind(drawn(data).figures["score_density"], "bar")
    for bar in bars:
        low, high = sorted((bar["from"], bar["to"]))
        inside = (data.running >= low) & (data.running < high)
        assert bar["rows"] == inside.sum()
        assert bar["density"] == pytest.approx(inside.sum() / 900 / (high - low))
        assert (low >= 0.1) == (bar["side"] == "above")
    assert {bar["side"] for bar in bars} == {"below", "above"}


def test_bars_of_whole_numbers_hold_equally_many_of_them():
    data = score(np.round(np.random.default_rng(3).normal(0, 12, 3000)), 2.0)
    bars = of_kind(drawn(data).figures["score_density"], "bar")
    widths = {round(abs(bar["to"] - bar["from"]), 9) for bar in bars}
    (width,) = widths
    assert width == round(width)
    for bar in bars:
        low, high = sorted((bar["from"], bar["to"]))
        assert bar["rows"] == ((data.running >= low - 1e-9) & (data.running < high - 1e-9)).sum()


def test_the_lines_begin_at_the_densities_that_are_tested():
    result = drawn(score(np.random.default_rng(4).normal(0, 1, 900), 0.2))
    reported = next(each for each in result.estimates if each.name == "rd_density_test").diagnostics
    curves = of_kind(result.figures["score_density"], "curve")
    at_cutoff = [row["density"] for row in curves if row["score"] == 0.2]
    assert at_cutoff == pytest.approx([reported["density_below"], reported["density_above"]])
    # The line is the slope of the distribution function, so that it encloses the share of rows beneath it.
    above = [row for row in curves if row["side"] == "above"]
    area = np.trapezoid([row["density"] for row in above], [row["score"] for row in above])
    running = result.plan.data.running
    share = ((running >= 0.2) & (running <= above[-1]["score"])).mean()
    assert area == pytest.approx(share, abs=0.02)


def test_it_stands_next_to_the_figure_of_the_outcome():
    assert {"discontinuity", "score_density", "forest"} <= set(of_design("discontinuity").figures)
    assert "score_density" not in of_design("cross-section").figures
