"""Drawing of every figure that applies to an analysis."""

from collections.abc import Mapping, Sequence

from cqox.diagnostics.weightings import weighted_as
from cqox.estimators import Estimate, Json, Plan
from cqox.figures._template import TEMPLATES, template
from cqox.figures._words import short, with_contrast
from cqox.figures.discontinuity import discontinuity
from cqox.figures.dose_curve import dose_curve
from cqox.figures.event_means import event_means
from cqox.figures.event_study import event_study
from cqox.figures.figure import Figure
from cqox.figures.forest import forest
from cqox.figures.heterogeneity import heterogeneity
from cqox.figures.interrupted_series import interrupted_series
from cqox.figures.love_plot import love_plot, love_plot_others
from cqox.figures.overlap import overlap
from cqox.figures.score_density import score_density
from cqox.figures.sensitivity_contour import sensitivity_contour
from cqox.figures.synthetic_control import synthetic_control
from cqox.figures.weights import weights, weights_others

__all__ = ["draw", "warm"]


def draw(
    plan: Plan,
    estimates: Sequence[Estimate],
    diagnostics: Mapping[str, Json],
    *,
    primary: str | None = None,
    contrast: str | None = None,
) -> dict[str, Figure]:
    """Draw the figures of one contrast, by name; those whose inputs are missing are omitted.

    They are `forest`, `overlap`, `love_plot`, `love_plot_others`, `weights`, `weights_others`, `event_means`,
    `event_study`, `discontinuity`, `score_density`, `heterogeneity`, `synthetic_control`, `interrupted_series`,
    `dose_curve` and `sensitivity_contour`.

    Args:
        plan: the contrast's plan, for column names.
        estimates: results of the estimators.
        diagnostics: from `cqox.diagnostics.diagnose`.
        primary: name of the primary estimate, which is highlighted.
        contrast: treatment levels compared, if there are several contrasts.
    """
    levels = short(contrast, 32) if contrast else ""
    treatment = with_contrast(short(plan.label("treatment"), 32), levels)
    chosen = next((estimate for estimate in estimates if estimate.name == primary), None)
    own = None if chosen is None else weighted_as(diagnostics, chosen)
    figures = (
        forest(plan, treatment, estimates, primary),
        overlap(treatment, diagnostics),
        love_plot(treatment, diagnostics, own),
        love_plot_others(treatment, diagnostics, own),
        weights(treatment, diagnostics, own),
        weights_others(treatment, diagnostics, own),
        event_means(plan, levels, diagnostics),
        event_study(plan, treatment, diagnostics),
        discontinuity(plan, estimates, diagnostics),
        score_density(plan, diagnostics),
        heterogeneity(plan, treatment, diagnostics),
        synthetic_control(plan, treatment, estimates, primary),
        interrupted_series(plan, levels, estimates),
        sensitivity_contour(plan, treatment, diagnostics, primary),
        dose_curve(plan, treatment, estimates),
    )
    return {figure.name: figure for figure in figures if figure is not None}


def warm() -> None:
    """Read every template ahead of the first figure."""
    for path in TEMPLATES.glob("*.json"):
        template(path.stem)
