"""The figures of a report, that of the design of the primary estimate first."""

import re
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from cqox.contract import Report
from cqox.contract.messages import Message, translate_figure
from cqox.exports.document import Picture, Section
from cqox.exports.wording import Wording

__all__ = ["pictures"]

_OF_DESIGN: Mapping[str, Sequence[str]] = {
    "sharp_cutoff": ("discontinuity",),
    "fuzzy_cutoff": ("discontinuity",),
    "trends": ("event_study", "event_means"),
    "switching_trends": ("event_study", "event_means"),
    "synthetic_control": ("synthetic_control",),
    "interrupted_series": ("interrupted_series",),
}
"""Figures that show what the estimate of a design is made of; of other designs it is the forest plot."""

_OTHERWISE = ("forest",)
_OF_CONTRAST = re.compile(r"(.+)-\d+")
"""Name of a figure of a second or later contrast."""


def pictures(report: Report, specs: Mapping[str, Mapping[str, JsonValue]], wording: Wording) -> Section:
    """Return the section of the figures; without a block where there are none.

    Of a contrast that the decision is not about it has the figure alone that comes first.
    """
    design = None if report.identification is None else report.identification.design
    wanted = (*_OF_DESIGN.get(design or "", ()), *_OTHERWISE)
    first = next((name for name in wanted if name in specs), None)
    shown = [name for name in specs if (found := _OF_CONTRAST.fullmatch(name)) is None or found[1] == first]
    names = [first, *(name for name in shown if name != first)] if first is not None else shown
    return Section(
        name="figures",
        heading=wording(Message("exports.figures")),
        blocks=tuple(_picture(name, specs[name], wording) for name in names),
    )


def _picture(name: str, spec: Mapping[str, JsonValue], wording: Wording) -> Picture:
    drawn = translate_figure(spec, wording.language)
    title = drawn.get("title")
    text = title.get("text") if isinstance(title, dict) else title
    alt = drawn.get("description")
    return Picture(
        name=wording(name),
        title=wording(" ".join(text) if isinstance(text, list) else str(text or name)),
        alt=wording(alt if isinstance(alt, str) else name),
        spec=drawn,  # type: ignore[arg-type]
    )
