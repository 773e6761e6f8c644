import json
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import altair as alt
import pytest

from cqox.contract.messages import Message
from cqox.figures._template import TEMPLATES, template
from cqox.figures.charts import CHARTS, compiled, template_text, write_templates

COMMAND = "python -m cqox.figures.charts"


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_the_one_that_its_template_was_compiled_from(name: str) -> None:
    stored = (TEMPLATES / f"{name}.json").read_text(encoding="utf-8")
    assert template_text(compiled(CHARTS[name])) == stored, f"run {COMMAND}"


def test_there_is_a_template_of_every_chart_and_of_no_other(tmp_path: Path) -> None:
    write_templates(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in TEMPLATES.iterdir()}


@pytest.mark.parametrize("name", CHARTS)
def test_a_template_is_read_as_it_was_compiled(name: str) -> None:
    spec = compiled(CHARTS[name])
    assert template(name) == spec
    assert repr(template(name)) == repr(spec)


def test_a_compiled_chart_holds_no_data_at_any_depth() -> None:
    points = alt.Chart().mark_point().encode(x="a:Q")
    assert '"data"' not in json.dumps(compiled(alt.vconcat(alt.layer(points, points.mark_line()), points)))
    empty = {"data": {"name": "empty"}}
    nested = {**empty, "spec": {**empty, "layer": [{**empty, "mark": "bar"}]}, "hconcat": [empty]}
    chart = SimpleNamespace(to_dict=lambda *, validate: deepcopy(nested))
    assert compiled(cast("alt.Chart", chart)) == {"spec": {"layer": [{"mark": "bar"}]}, "hconcat": [{}]}


def test_a_message_is_written_as_its_code_and_one_with_parameters_is_refused() -> None:
    spec = {"layer": [{"title": Message("figures.treated")}, {"title": "figures.treated"}]}
    assert (
        template_text(spec) == '{"layer": [{"title": {"message": "figures.treated"}}, {"title": "figures.treated"}]}\n'
    )
    with pytest.raises(ValueError, match=r"figures\.rows"):
        template_text({"title": Message("figures.rows", rows=3)})


def test_what_is_too_wide_for_a_line_has_a_line_for_each_part() -> None:
    wide = "w" * 110
    assert template_text({"a": [1, wide], "b": [1, 2]}) == f'{{\n "a": [\n  1,\n  "{wide}"\n ],\n "b": [1, 2]\n}}\n'
