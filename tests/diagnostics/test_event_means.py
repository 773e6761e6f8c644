from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Json
from tests.diagnostics.looking import judged, trial
from tests.estimators.designs import panel, row_keys, two_periods


def points(data: Data) -> dict[tuple[str, float], dict[str, Json]]:
    found = judged(data, only=["difference_in_means"]).diagnostics["event_means"]
    return {(point["group"], point["time"]): point for point in found["points"]}


def test_each_group_has_its_mean_in_each_period() -> None:
    data = panel(30)
    found = points(data)
    treated = np.isin(data.unit, np.unique(data.unit[data.treatment == 1]))
    for period in range(6):
        for label, rows in (("treated from 2003", treated), ("never treated", ~treated)):
            y = data.y[rows & (data.time == period)]
            point = found[label, 2000.0 + period]
            assert point["mean"] == pytest.approx(y.mean(), rel=1e-10)
            assert point["rows"] == len(y)
            half = 1.959964 * y.std(ddof=1) / np.sqrt(len(y))
            assert point["upper"] - point["mean"] == pytest.approx(half, rel=1e-6)


def test_units_that_start_at_different_times_are_different_groups() -> None:
    found = judged(panel(60, staggered=True)).diagnostics["event_means"]
    starts = [group["first_treated"] for group in found["groups"]]
    assert starts == [2002.0, 2003.0, 2004.0, 2005.0, None]
    assert sum(group["units"] for group in found["groups"]) == 60


def test_before_and_after_are_two_periods() -> None:
    data = two_periods(300)
    found = points(data)
    cell = (data.treatment == 1) & (data.post == 1)
    assert found["treated", 1.0]["mean"] == pytest.approx(data.y[cell].mean(), rel=1e-10)
    assert len(found) == 4


def test_with_post_a_treatment_may_say_who_is_ever_treated() -> None:
    data = panel(30)
    ever = np.isin(data.unit, np.unique(data.unit[data.treatment == 1])).astype(float)
    design = replace(data, treatment=ever, post=(data.time >= 3).astype(float))
    found = judged(design, only=["did_2x2"]).diagnostics["event_means"]
    assert [group["label"] for group in found["groups"]] == ["treated from 2003", "never treated"]


def test_periods_are_called_what_people_call_them() -> None:
    labels = tuple(f"2024-0{month}-01" for month in range(1, 7))
    days = np.array(labels, dtype="datetime64[D]").astype(float)
    found = judged(replace(panel(30), time_values=days, time_labels=labels)).diagnostics["event_means"]
    assert found["scale"] == "date"
    assert found["groups"][0]["label"] == "treated from 2024-04-01"
    assert found["groups"][0]["first_treated_name"] == "2024-04-01"
    assert [point["period"] for point in found["points"][:6]] == list(labels)
    words = tuple("abcdef")
    found = judged(replace(panel(30), time_values=np.arange(6.0), time_labels=words)).diagnostics["event_means"]
    assert found["scale"] == "words"
    assert found["groups"][0]["label"] == "treated from d"


def test_a_start_that_nobody_is_observed_in_is_still_a_date() -> None:
    labels = tuple(f"2024-0{month}-01" for month in range(1, 7))
    days = np.array(labels, dtype="datetime64[D]").astype(float)
    data = replace(panel(30), time_values=days, time_labels=labels)
    start = float(np.datetime64("2024-03-20").astype("datetime64[D]").astype(int))
    cohort = np.where(data.unit < 15, start, np.nan)
    found = judged(replace(data, cohort=cohort), only=["twfe"]).diagnostics["event_means"]
    assert found["groups"][0]["label"] == "treated from 2024-03-20"


def test_weights_move_the_means() -> None:
    data = panel(20)
    w = np.where(data.unit % 2 == 0, 3.0, 1.0)
    treated = data.treatment == 1
    last = treated & (data.time == 5)
    assert points(replace(data, weights=w))["treated from 2003", 2005.0]["mean"] == pytest.approx(
        np.average(data.y[last], weights=w[last]), rel=1e-10
    )


def test_many_periods_are_pooled_until_they_can_be_drawn() -> None:
    units, periods = 4, 1000
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    t = ((unit < 2) & (time >= 500)).astype(float)
    nothing = np.empty((len(unit), 0))
    data = Data(
        n=len(unit), y=np.sin(time) + t, treatment=t, treatment_kind="binary", covariates=nothing,
        propensity_covariates=nothing, unit=unit, time=time, time_values=np.arange(float(periods)),
        row_key=row_keys(unit), names={"y": ("y",), "treatment": ("t",)},
    )  # fmt: skip
    found = judged(data, only=["twfe"]).diagnostics["event_means"]
    assert found["periods_per_point"] == 9
    assert len(found["points"]) <= 250


def test_many_starts_are_pooled_into_one_group() -> None:
    found = judged(panel(120, periods=14, staggered=True), only=["twfe"]).diagnostics["event_means"]
    assert len(found["groups"]) <= 8
    assert any("other starts" in group["label"] for group in found["groups"])


def test_a_cross_section_has_a_reason_instead() -> None:
    assert "post" in judged(trial()).diagnostics["event_means"]["reason"]
