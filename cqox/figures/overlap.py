"""Overlap plot: mirrored histograms of the propensity score by arm."""

from collections.abc import Mapping, Sequence

from cqox.contract.messages import Message, joined
from cqox.estimators import Json
from cqox.figures._reading import listed, number_in, text_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import TREATED, UNTREATED
from cqox.figures.figure import Figure

__all__ = ["overlap"]


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
    spec = filled(template("overlap"), rows, title=title, subtitle=subtitle, alt=alt_text)
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
