"""Run every diagnostic that applies to the data and the estimates."""

from collections.abc import Callable, Sequence

from cqox.contract import Options
from cqox.contract.messages import Message
from cqox.diagnostics.agreement import agreement
from cqox.diagnostics.attrition import attrition
from cqox.diagnostics.bad_controls import bad_controls
from cqox.diagnostics.balance import balance
from cqox.diagnostics.balance_tests import balance_tests
from cqox.diagnostics.clustering import cluster_counts
from cqox.diagnostics.cohorts import treatment_stays
from cqox.diagnostics.curvature import curvature
from cqox.diagnostics.design_use import design_use
from cqox.diagnostics.discontinuity import discontinuity
from cqox.diagnostics.donor_fit import donor_fit
from cqox.diagnostics.event_means import event_means
from cqox.diagnostics.event_study import event_study
from cqox.diagnostics.feedback import feedback
from cqox.diagnostics.finer_exposure import finer_exposure
from cqox.diagnostics.first_stages import first_stages
from cqox.diagnostics.heterogeneity import heterogeneity
from cqox.diagnostics.hidden_bias import rosenbaum_bounds
from cqox.diagnostics.logged_propensities import logged_propensities
from cqox.diagnostics.matched_leads import matched_leads
from cqox.diagnostics.missing import missing_values
from cqox.diagnostics.negative_controls import negative_controls
from cqox.diagnostics.omitted_variables import omitted_variable_bounds
from cqox.diagnostics.overlap import overlap
from cqox.diagnostics.pre_trends import pre_trends
from cqox.diagnostics.primary import Primary
from cqox.diagnostics.refuters import refutations
from cqox.diagnostics.sample_ratio import sample_ratio
from cqox.diagnostics.sensitivity import e_values, outcome_scale, robustness
from cqox.diagnostics.serial_dependence import serial_dependence
from cqox.diagnostics.series_checks import series_checks
from cqox.diagnostics.spillovers import spillovers
from cqox.diagnostics.tails import tails
from cqox.diagnostics.weightings import Weighting, effective_rows, summarize_weights, weightings
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Json, Plan
from cqox.estimators.numerics.array_store import drop_pages

__all__ = ["diagnose"]

DEFAULT_OPTIONS = Options()  # type: ignore[call-arg]

_STRENGTH = ("first_stage_f", "first_stage_f_robust", "effective_f", "effective_f_critical", "partial_r2")


def diagnose(
    plan: Plan, estimates: Sequence[Estimate], *, primary: Primary | None = None, options: Options = DEFAULT_OPTIONS
) -> dict[str, Json]:
    """Run the diagnostics of one contrast; every number is finite, or null with a reason next to it.

    Args:
        plan: the contrast's plan, which caches intermediate results of the estimators.
        estimates: results of the estimators.
        primary: the estimate that the decision uses.
        options: the request's options; `refute` is the number of replications of each refutation of the primary.

    Returns:
        A table for each diagnostic by name; one that does not apply is an object with `reason` alone, one that failed
        also has `failed`.
    """
    weighed = _with_weights(plan, estimates)
    outcome = _or_reason(lambda: outcome_scale(plan))
    sd_y = outcome.get("sd")
    minimum = options.minimum_effect if options.better == "higher" else -options.minimum_effect
    return {
        "outcome": outcome,
        "design": _or_reason(lambda: design_use(plan, estimates)),
        "missing": _or_reason(lambda: missing_values(plan)),
        "bad_controls": _or_reason(lambda: bad_controls(plan)),
        "attrition": _or_reason(lambda: attrition(plan)),
        "clusters": _or_reason(lambda: cluster_counts(plan)),
        "balance_tests": _or_reason(lambda: balance_tests(plan, options)),
        "sample_ratio": _or_reason(lambda: sample_ratio(plan, options)),
        "negative_controls": _or_reason(lambda: negative_controls(plan)),
        "spillovers": _or_reason(lambda: spillovers(plan, estimates)),
        "overlap": _or_reason(lambda: overlap(plan)),
        **weighed,
        "instruments": _instruments(estimates),
        "first_stages": _or_reason(lambda: first_stages(plan)),
        "negative_weights": _negative_weights(estimates),
        "event_means": _or_reason(lambda: event_means(plan)),
        "event_study": _or_reason(lambda: event_study(plan, estimates, minimum=minimum)),
        "pre_trends": _or_reason(lambda: pre_trends(plan)),
        **_of_switching(plan, primary, minimum),
        "discontinuity": _or_reason(lambda: discontinuity(plan, estimates)),
        "donor_fit": _or_reason(lambda: donor_fit(estimates)),
        "serial_dependence": _or_reason(lambda: serial_dependence(estimates)),
        "tails": _or_reason(lambda: tails(plan, estimates, primary)),
        "series_checks": _or_reason(lambda: series_checks(plan, estimates)),
        "heterogeneity": _or_reason(lambda: heterogeneity(estimates)),
        "e_values": _or_reason(lambda: e_values(plan, estimates, sd_y if isinstance(sd_y, float) else None)),
        "robustness": _or_reason(lambda: robustness(plan)),
        "omitted_variables": _or_reason(lambda: omitted_variable_bounds(plan, estimates)),
        "rosenbaum_bounds": _or_reason(lambda: rosenbaum_bounds(plan, estimates)),
        "refutations": _or_reason(lambda: refutations(plan, primary, estimates, options.refute)),
        "logged_propensities": _or_reason(lambda: logged_propensities(plan, estimates)),
        "finer_exposure": _or_reason(lambda: finer_exposure(plan)),
        "agreement": _or_reason(lambda: agreement(plan, estimates)),
        "curvature": _or_reason(lambda: curvature(plan, _named(estimates, primary), options)),
    }


def _named(estimates: Sequence[Estimate], primary: Primary | None) -> Estimate | None:
    """Return the primary estimate."""
    return None if primary is None else next((each for each in estimates if each.name == primary.name), None)


def _or_reason(make: Callable[[], dict[str, Json]]) -> dict[str, Json]:
    try:
        return make()
    except UnusableData as error:
        return {"reason": error.detail}
    except Exception as error:  # noqa: BLE001 - supervised root: a failed diagnostic keeps the estimates
        return {
            "failed": True,
            "reason": Message("diagnostics.exception", exception=type(error).__name__, text=str(error)),
        }
    finally:
        drop_pages()


def _of_switching(plan: Plan, primary: Primary | None, minimum: float) -> dict[str, Json]:
    """Compute the diagnostics of a treatment that goes on and off, or that is compared by its history."""
    if (primary is None or primary.name != "panel_matching") and treatment_stays(plan):
        stays: dict[str, Json] = {"reason": Message("diagnostics.treatment-stays")}
        return {"matched_leads": stays, "feedback": stays}
    return {
        "matched_leads": _or_reason(lambda: matched_leads(plan, minimum=minimum)),
        "feedback": _or_reason(lambda: feedback(plan)),
    }


def _no_weights() -> dict[str, Json]:
    return {"reason": Message("diagnostics.no-weighting")}


def _with_weights(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Compute the diagnostics that need every weighting, then drop the weights."""
    weighted = _weightings(plan, estimates)
    return {
        "balance": _or_reason(lambda: balance(plan, weighted)),
        "effective_rows": _or_reason(lambda: effective_rows(plan, weighted) or _no_weights()),
        "weights": _or_reason(lambda: summarize_weights(plan, weighted) or _no_weights()),
    }


def _weightings(plan: Plan, estimates: Sequence[Estimate]) -> tuple[Weighting, ...]:
    try:
        return weightings(plan, estimates)
    except UnusableData:
        return ()


def _instruments(estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return the first-stage strength of each instrumental-variables estimate."""
    found: dict[str, Json] = {
        estimate.name: {key: estimate.diagnostics.get(key) for key in _STRENGTH}
        for estimate in estimates
        if "effective_f" in estimate.diagnostics and estimate.estimate is not None
    }
    return found or {"reason": Message("diagnostics.no-instrument")}


def _negative_weights(estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return the negative weights of the two-way fixed effects estimate."""
    for estimate in estimates:
        if estimate.name == "twfe" and "negative_weight_share" in estimate.diagnostics:
            return {
                "share_of_treated_rows": estimate.diagnostics["negative_weight_share"],
                "sum": estimate.diagnostics["negative_weight_sum"],
            }
    return {"reason": Message("diagnostics.no-twfe")}
