from cqox.exports.effects import effect
from tests.exports.reports import ENGLISH, JAPANESE, made


def rows(**found: object) -> dict[str, str]:
    report = made(effect={"estimate": 2.0, "lower": 1.0, "upper": 3.0, **found})
    (facts,) = effect(report, ENGLISH).blocks
    return dict(facts.rows)


def test_the_effect_is_absolute_relative_in_total_and_net_of_cost():
    found = rows(
        outcome="sales", baseline=20.0, relative=0.1, relative_lower=0.05, relative_upper=0.15, total=200.0,
        total_lower=100.0, total_upper=300.0, total_rows=100, mean_cost=0.5, net_of_cost=1.5, net_lower=0.5,
        net_upper=2.5,
    )  # fmt: skip
    assert found == {
        "Effect on sales": "2.00 (95% interval 1.00 to 3.00)",
        "Relative to the outcome without treatment": "10.0% (95% interval 5.0% to 15.0%)",
        "Mean outcome without treatment": "20.0",
        "Total over 100 treated rows": "200 (95% interval 100 to 300)",
        "Mean cost of the treated rows": "0.500",
        "Effect net of cost": "1.50 (95% interval 0.50 to 2.50)",
    }


def test_what_is_absent_is_left_out_and_a_reason_stands_in():
    assert list(rows()) == ["Effect"]
    heading = "Relative to the outcome without treatment"
    assert rows(relative_reason="No baseline.")[heading] == "No baseline."
    assert rows(relative=0.1, relative_reason="No interval.")[heading] == "10.0%. No interval."
    assert rows(relative=0.1)[heading] == "10.0%"
    assert rows(total_reason="No rows.")["Total"] == "No rows."


def test_without_an_effect_the_section_is_empty():
    assert effect(made(), JAPANESE).blocks == ()
