"""The built-in data sets are what their seeds make, fit the examples, and hide a known effect."""

import json
from pathlib import Path

import numpy as np
import pytest

from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, infer_roles, read_table, sample_names, sample_path
from cqox.datasets.samples import EFFECTS, simulate
from cqox.errors import NotFound

EXAMPLES = Path(__file__).parents[2] / "examples"


def sample(name):
    return read_table(sample_path(name), name=name, limits=Limits(), options=ReadOptions())


@pytest.mark.parametrize("name", sample_names())
def test_a_sample_is_what_its_seed_makes(name):
    assert sample_path(name).read_text(encoding="utf-8") == simulate(name)


@pytest.mark.parametrize("name", sample_names())
def test_a_sample_is_read_without_a_note_and_without_a_missing_value(name):
    table = sample(name)
    assert table.notes == ()
    assert all(column.missing == 0 and column.notes == () for column in table.columns)


def test_the_test_set_has_its_columns_and_confounding_that_matters():
    frame = sample("test").frame
    assert frame.columns == ["id", "w", "y", "x1", "x2", "x3", "x4"]
    y, w = frame["y"].to_numpy(), frame["w"].to_numpy()
    assert y[w == 1].mean() - y[w == 0].mean() > EFFECTS["test"] + 1.0
    design = np.column_stack([w, np.ones(y.size), frame.select("x1", "x2", "x3", "x4").to_numpy()])
    assert abs(np.linalg.lstsq(design, y)[0][0] - EFFECTS["test"]) < 0.2


def test_the_retail_set_is_a_panel_in_which_differences_over_time_find_the_effect():
    frame = sample("mini_retail").frame
    assert frame.height == frame["店舗ID"].n_unique() * frame["週"].n_unique()
    treated = frame.group_by("店舗ID").agg(ever="キャンペーン").with_columns(ever=frame["キャンペーン"].max())
    assert treated.height == 60
    sales = frame["売上"].to_numpy().reshape(60, 26)
    campaign = frame["キャンペーン"].to_numpy().reshape(60, 26)
    ever = campaign.max(axis=1) == 1
    assert (campaign[ever] == (np.arange(26) >= 13)).all()
    change = sales[:, 13:].mean(axis=1) - sales[:, :13].mean(axis=1)
    effect = change[ever].mean() - change[~ever].mean()
    naive = sales[campaign == 1].mean() - sales[campaign == 0].mean()
    assert abs(effect - EFFECTS["mini_retail"]) < 20.0
    assert naive > EFFECTS["mini_retail"] + 60.0


def test_the_samples_infer_to_the_roles_of_their_examples():
    for name, file in (("test", "request.json"), ("mini_retail", "mini_retail_request.json")):
        request = json.loads((EXAMPLES / file).read_text(encoding="utf-8"))
        mapping = infer_roles(sample(name).columns).to_json()["mapping"]
        assert request["dataset_id"] == name
        assert mapping == request["mapping"]


@pytest.mark.parametrize("file", sorted(path.name for path in EXAMPLES.glob("*.json")))
def test_an_example_is_a_valid_request_on_columns_that_exist(file):
    request = parse_model(AnalyzeRequest, json.loads((EXAMPLES / file).read_text(encoding="utf-8")))
    roles, aliases = request.roles()
    assert aliases == {}
    columns = {column.name for column in sample(request.dataset_id).columns}
    for mapped in roles.values():
        assert set(mapped if isinstance(mapped, tuple) else (mapped,)) <= columns


def test_an_unknown_sample_is_not_found():
    with pytest.raises(NotFound) as caught:
        sample_path("../test")
    assert caught.value.choices == sample_names()
