"""Compilation of charts to templates: specifications without data, as text."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from altair.utils import schemapi

from cqox.contract.messages import Message
from cqox.estimators import Json
from cqox.figures._template import MESSAGE, TEMPLATES
from cqox.figures.charts.chart import Chart
from cqox.figures.charts.discontinuity import DISCONTINUITY
from cqox.figures.charts.dose_curve import DOSE_CURVE
from cqox.figures.charts.event_means import EVENT_MEANS
from cqox.figures.charts.event_study import EVENT_STUDY
from cqox.figures.charts.forest import FOREST
from cqox.figures.charts.heterogeneity import HETEROGENEITY
from cqox.figures.charts.interrupted_series import INTERRUPTED_SERIES
from cqox.figures.charts.love_plot import LOVE_PLOT
from cqox.figures.charts.overlap import OVERLAP
from cqox.figures.charts.score_density import SCORE_DENSITY
from cqox.figures.charts.sensitivity_contour import SENSITIVITY_CONTOUR
from cqox.figures.charts.synthetic_control import SYNTHETIC_CONTROL
from cqox.figures.charts.weights import WEIGHTS
from cqox.figures.figure import Spec

__all__ = ["CHARTS", "compiled", "template_text", "write_templates"]

CHARTS: Mapping[str, Chart] = {
    "forest": FOREST,
    "overlap": OVERLAP,
    "love_plot": LOVE_PLOT,
    "weights": WEIGHTS,
    "event_means": EVENT_MEANS,
    "event_study": EVENT_STUDY,
    "discontinuity": DISCONTINUITY,
    "score_density": SCORE_DENSITY,
    "heterogeneity": HETEROGENEITY,
    "synthetic_control": SYNTHETIC_CONTROL,
    "interrupted_series": INTERRUPTED_SERIES,
    "sensitivity_contour": SENSITIVITY_CONTOUR,
    "dose_curve": DOSE_CURVE,
}
"""Charts by the name of their template."""

_WIDTH = 120
"""Most characters in a line of a template, where what it holds can be divided."""


def write_templates(folder: Path = TEMPLATES) -> None:
    """Write the template of every chart into a folder."""
    for name, chart in CHARTS.items():
        (folder / f"{name}.json").write_text(template_text(compiled(chart)), encoding="utf-8")


def compiled(chart: Chart) -> Spec:
    """Compile a chart to a specification without data."""
    with schemapi.debug_mode(False):
        spec = cast("Spec", chart.to_dict(validate=False))
    _without_data(spec)
    return spec


def _without_data(spec: Spec) -> None:
    """Remove Altair's data placeholders, which would hide the top-level rows from a layer."""
    spec.pop("data", None)
    for key in ("layer", "vconcat", "hconcat"):
        parts = spec.get(key)
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict):
                _without_data(part)
    inner = spec.get("spec")
    if isinstance(inner, dict):
        _without_data(inner)


def template_text(spec: Spec) -> str:
    """Return a specification as JSON that `cqox.figures._template.template` reads: a message is an object of its code.

    Raises:
        ValueError: a message has parameters; it is filled in when the figure is drawn.
    """
    return _text(_with_codes(spec), 0) + "\n"


def _with_codes(value: Json) -> Json:
    match value:
        case Message(params=params) if params:
            raise ValueError(f"a message of a template has no parameters, unlike {value.code}")
        case Message():
            return {MESSAGE: value.code}
        case dict():
            return {key: _with_codes(each) for key, each in value.items()}
        case list():
            return [_with_codes(each) for each in value]
    return value


def _text(value: Json, depth: int, key: str = "") -> str:
    """Return a value behind its key; what is too wide for a line has a line for each part."""
    line = key + json.dumps(value, ensure_ascii=False)
    if depth + len(line) < _WIDTH or not isinstance(value, dict | list):
        return line
    if isinstance(value, dict):
        parts = [_text(each, depth + 1, f"{json.dumps(name)}: ") for name, each in value.items()]
    else:
        parts = [_text(each, depth + 1) for each in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    room = "\n" + " " * depth
    return key + start + ",".join(f"{room} {part}" for part in parts) + room + end
