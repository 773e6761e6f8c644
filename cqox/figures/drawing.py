"""Every figure that an analysis has the inputs for."""

from collections.abc import Mapping, Sequence

from cqox.estimators import Estimate, Json, Plan
from cqox.figures.event_means import event_means
from cqox.figures.figure import Figure
from cqox.figures.forest import forest
from cqox.figures.love_plot import love_plot
from cqox.figures.overlap import overlap

__all__ = ["draw"]


def draw(
    plan: Plan, estimates: Sequence[Estimate], diagnostics: Mapping[str, Json], primary: str | None = None
) -> dict[str, Figure]:
    """The figures of one contrast by name: `forest`, `overlap`, `love_plot`, `event_means`, each where it can be.

    Args:
        plan: the contrast's plan, for the names of its columns.
        estimates: what the estimators answered.
        diagnostics: from `cqox.diagnostics.diagnose`.
        primary: name of the estimate that the decision uses, to be marked.
    """
    figures = (
        forest(plan, estimates, primary),
        overlap(plan, diagnostics),
        love_plot(plan, diagnostics),
        event_means(plan, diagnostics),
    )
    return {figure.name: figure for figure in figures if figure is not None}
