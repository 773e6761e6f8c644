"""Templates of figures: an Altair chart is compiled once to a specification, and each figure is a filled copy.

Altair validates and copies a chart many times while it is built (10 ms for two layers), but figures of one kind differ
in a few values only.
"""

from collections.abc import Sequence
from typing import cast

import altair as alt
from altair.utils import schemapi

from cqox.contract.messages import Message
from cqox.estimators import Json
from cqox.figures._messages import messages_of
from cqox.figures.figure import Figure, Spec
from cqox.figures.style import CONFIG

__all__ = ["compiled", "filled", "finished", "put"]

type Chart = alt.Chart | alt.LayerChart | alt.FacetChart | alt.ConcatChart | alt.HConcatChart | alt.VConcatChart


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


def filled(
    template: Spec,
    rows: Sequence[dict[str, Json]],
    *,
    title: Message,
    subtitle: Message | Sequence[Message],
    alt: Message,
) -> Spec:
    """Return a copy of a compiled chart with rows, title, subtitle and description filled in."""
    spec = cast("Spec", _copy(template))
    spec["data"] = {"values": list(rows)}
    lines: Json = subtitle if isinstance(subtitle, Message) else list(subtitle)
    spec["title"] = {"text": title, "subtitle": lines}
    spec["description"] = alt
    spec["config"] = _copy(CONFIG)
    return spec


def _copy(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value


def finished(name: str, spec: Spec) -> Figure:
    """Return the figure of a filled specification, with the messages of its texts in `usermeta`."""
    title = cast("dict[str, Json]", spec["title"])["text"]
    spec["usermeta"] = {"messages": messages_of(spec)}
    return Figure(name=name, title=cast("Message", title), alt=cast("Message", spec["description"]), spec=spec)


def put(spec: Spec, value: Json, *path: str | int) -> None:
    """Set the value at a path of keys and indices; the containers on the path must exist."""
    at: Json = spec
    for key in path[:-1]:
        at = at[key] if isinstance(at, dict) and isinstance(key, str) else cast("list[Json]", at)[cast("int", key)]
    cast("dict[str, Json]", at)[cast("str", path[-1])] = value
