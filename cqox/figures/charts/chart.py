"""The type of a chart before it is compiled."""

import altair as alt

__all__ = ["Chart"]

type Chart = alt.Chart | alt.LayerChart | alt.FacetChart | alt.ConcatChart | alt.HConcatChart | alt.VConcatChart
