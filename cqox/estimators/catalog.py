"""Every estimator, and the one place that runs them under supervision."""

from collections.abc import Iterable
from functools import cache

from cqox.errors import UnusableData
from cqox.estimators import (
    causal_forest,
    did,
    did_staggered,
    discontinuity,
    dose_response,
    double_ml,
    doubly_robust,
    instruments,
    interference,
    interrupted_series,
    matching,
    mediation,
    meta_learners,
    off_policy,
    panel_matching,
    proximal,
    regression,
    stratification,
    synthetic_control,
    transport,
    weighting,
)
from cqox.estimators._one_blas import one_blas_thread
from cqox.estimators._room import let_go
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.estimate import Estimate, Status
from cqox.estimators.estimator import Estimator
from cqox.estimators.plan import Plan

__all__ = ["applicable", "catalog", "entries", "run"]


@cache
def catalog() -> tuple[Estimator, ...]:
    """Every estimator that a request runs unless it names some, by family."""
    return (
        *regression.ESTIMATORS,
        *stratification.ESTIMATORS,
        *weighting.ESTIMATORS,
        *matching.ESTIMATORS,
        *doubly_robust.ESTIMATORS,
        *double_ml.ESTIMATORS,
        *meta_learners.ESTIMATORS,
        *instruments.ESTIMATORS,
        *did.ESTIMATORS,
        *did_staggered.ESTIMATORS,
        *discontinuity.ESTIMATORS,
        *synthetic_control.ESTIMATORS,
        *interrupted_series.ESTIMATORS,
        *off_policy.ESTIMATORS,
        *transport.ESTIMATORS,
        *proximal.ESTIMATORS,
        *mediation.ESTIMATORS,
        *dose_response.ESTIMATORS,
        *panel_matching.ESTIMATORS,
        *interference.ESTIMATORS,
    )


@cache
def entries() -> tuple[Estimator, ...]:
    """Every estimator that there is: the catalog, then those that take so long that a request must name them."""
    return (*catalog(), *double_ml.ON_REQUEST, *causal_forest.ON_REQUEST)


def applicable(estimators: Iterable[Estimator], plan: Plan) -> list[Estimator]:
    """Those that apply to the plan's data; one whose rule raises does not, and `run` says why."""

    def applies(estimator: Estimator) -> bool:
        try:
            return estimator.applies(plan) is None
        except Exception:  # noqa: BLE001 - the supervised root of a rule: the others must stand
            return False

    return [estimator for estimator in estimators if applies(estimator)]


def run(estimator: Estimator, plan: Plan) -> Estimate:
    """The estimate, or why there is none: `skipped` where it does not apply, `failed` where it raised.

    Meanwhile the BLAS of the process has one thread, for the passes over the rows use the other cores.
    """
    checkpoint()
    try:
        with one_blas_thread():
            reason = estimator.applies(plan)
            if reason is not None:
                return _without_number(estimator, "skipped", reason)
            return estimator.run(plan)
    except UnusableData as error:
        return _without_number(estimator, "skipped", error.detail)
    except MemoryError:
        return _without_number(estimator, "failed", "It needs more memory than a worker may use.")
    except Exception as error:  # noqa: BLE001 - the supervised root of an estimator: the others must stand
        return _without_number(estimator, "failed", f"{type(error).__name__}: {error}")
    finally:
        let_go()


def _without_number(estimator: Estimator, status: Status, reason: str) -> Estimate:
    return Estimate(
        name=estimator.name, family=estimator.family, estimand=estimator.estimand, status=status, reason=reason
    )
