import pytest

from cqox.figures.overlap import overlap
from tests.figures.drawn import of_design, values


def test_each_arm_adds_up_to_one_treated_above_untreated_below():
    rows = values(of_design("cross-section").figures["overlap"])
    shares = {arm: [row["share"] for row in rows if row["kind"] == "bin" and row["arm"] == arm]
              for arm in ("Treated", "Untreated")}  # fmt: skip
    assert sum(shares["Treated"]) == pytest.approx(1)
    assert sum(shares["Untreated"]) == pytest.approx(-1)
    assert min(shares["Treated"]) > 0 > max(shares["Untreated"])


def test_the_rows_of_the_bars_are_the_rows_of_the_arms():
    drawn = of_design("cross-section")
    rows = values(drawn.figures["overlap"])
    treated = int(drawn.plan.data.treatment.sum())
    assert sum(row["rows"] for row in rows if row["kind"] == "bin" and row["arm"] == "Treated") == treated


def test_the_share_without_counterparts_is_said_and_its_range_is_shaded():
    found = {
        "bins": [{"lower": 0.0, "upper": 0.5, "treated": 3, "control": 1},
                 {"lower": 0.5, "upper": 1.0, "treated": 1, "control": 7}],
        "bounds": [0.05, 0.95], "share_outside": 0.123, "treated_rows": 4, "control_rows": 8,
        "minimum": 0.01, "maximum": 0.99, "probability": "given",
    }  # fmt: skip
    figure = overlap("t", {"overlap": found})
    assert "12.3% of 12 rows" in figure.alt
    assert "given" in figure.alt
    assert "from 0.01 to 0.99" in figure.alt
    shaded = [(row["from"], row["to"]) for row in values(figure) if row["kind"] == "outside"]
    assert shaded == [(0.0, 0.05), (0.95, 1.0)]


def test_without_probabilities_there_is_no_figure():
    assert overlap("t", {"overlap": {"reason": "The treatment is an amount."}}) is None
