"""Overlap plot: mirrored histograms of the propensity score by arm."""

from collections.abc import Mapping, Sequence
from functools import cache

import altair as alt

from cqox.contract.messages import Message, joined
from cqox.estimators import Json
from cqox.figures._reading import listed, number_in, text_in
from cqox.figures._template import compiled, filled, finished, put
from cqox.figures._words import TREATED, UNTREATED
from cqox.figures.figure import Figure, Spec
from cqox.figures.style import BLUE, ORANGE, PALE, RULE

__all__ = ["overlap", "overlap_template"]

_WIDTH, _HEIGHT = 520, 260


def overlap(treatment: str, diagnostics: Mapping[str, Json]) -> Figure | None:
    """Draw the mirrored histogram; None if there is no propensity score."""
    found = diagnostics.get("overlap")
    bins = listed(found, "bins")
    outside = number_in(found, "share_outside")
    treated, control = number_in(found, "treated_rows"), number_in(found, "control_rows")
    if not bins or outside is None or not treated or not control:
        return None
    rows = _bars(bins, treated, control)
    shares = [share for row in rows if (share := number_in(row, "share")) is not None]
    top, bottom = 1.15 * max([*shares, 0.02]), 1.15 * min([*shares, -0.02])
    low, high = (float(end) for end in listed(found, "bounds") if isinstance(end, int | float))
    rows += [{"kind": "outside", "from": 0.0, "to": low}, {"kind": "outside", "from": high, "to": 1.0}]
    for arm, count, end in ((TREATED, treated, top), (UNTREATED, control, bottom)):
        rows.append(
            {"kind": "label", "arm": arm, "at": end / 2, "label": [arm, Message("figures.rows", rows=round(count))]}
        )
    title = Message("figures.overlap", treatment=treatment)
    given = text_in(found, "probability") == "given"
    source = Message("figures.overlap-given") if given else Message("figures.overlap-estimated")
    n, ends = treated + control, [number_in(found, key) or 0.0 for key in ("minimum", "maximum")]
    said = Message("figures.overlap-outside", share=outside, rows=n, source=source, low=low, high=high)
    subtitle = Message("figures.overlap-outside-shaded", share=outside, rows=n, source=source, low=low, high=high)
    alt_text = joined([Message("figures.overlap-alt", minimum=ends[0], maximum=ends[1]), said])
    spec = filled(overlap_template(), rows, title=title, subtitle=subtitle, alt=alt_text)
    put(spec, [bottom, top], "layer", 1, "encoding", "y", "scale", "domain")
    return finished("overlap", spec)


def _bars(bins: Sequence[Json], treated: float, control: float) -> list[dict[str, Json]]:
    """Return a bar per non-empty bin and arm, the untreated downwards."""
    rows: list[dict[str, Json]] = []
    for each in bins:
        for arm, key, total in ((TREATED, "treated", treated), (UNTREATED, "control", -control)):
            count = number_in(each, key)
            if count:
                base: dict[str, Json] = {"kind": "bin", "arm": arm, "share": count / total, "rows": int(count)}
                rows.append(base | {"from": number_in(each, "lower"), "to": number_in(each, "upper")})
    return rows


@cache
def overlap_template() -> Spec:
    """Compile the Vega-Lite template of overlap plots."""
    every = alt.Chart()
    colour = alt.Color("arm:N", scale=alt.Scale(domain=[TREATED, UNTREATED], range=[ORANGE, BLUE]), legend=None)
    shade = (
        every.transform_filter("datum.kind === 'outside'")
        .mark_rect(color=PALE)
        .encode(x="from:Q", x2="to:Q", y=alt.value(0), y2=alt.value(_HEIGHT))
    )
    bars = (
        every.transform_filter("datum.kind === 'bin'")
        .mark_rect(opacity=0.85, stroke="white", strokeWidth=0.6)
        .encode(
            x=alt.X(
                "from:Q",
                scale=alt.Scale(domain=[0, 1], nice=False),
                axis=alt.Axis(
                    title=Message("figures.overlap-probability"),
                    values=[0, 0.05, 0.25, 0.5, 0.75, 0.95, 1],
                    format=".2~f",
                    labelOverlap=False,
                    grid=False,
                ),
            ),
            x2="to:Q",
            y=alt.Y(
                "share:Q",
                scale=alt.Scale(domain=[-1, 1], nice=False),
                axis=alt.Axis(
                    title=Message("figures.overlap-share"),
                    labelExpr="format(abs(datum.value), '~%')",
                    tickCount=6,
                ),
            ),
            y2=alt.Y2Datum(0),
            color=colour,
            tooltip=["arm:N", "from:Q", "to:Q", "rows:Q"],
        )
    )
    base = alt.Chart().transform_aggregate(rows="count()").mark_rule(color=RULE).encode(y=alt.YDatum(0))
    labels = (
        every.transform_filter("datum.kind === 'label'")
        .mark_text(align="left", dx=12, fontSize=12, fontWeight="bold", lineHeight=16)
        .encode(x=alt.value(_WIDTH), y="at:Q", text="label:N", color=colour)
    )
    return compiled(alt.layer(shade, bars, base, labels).properties(width=_WIDTH, height=_HEIGHT))
