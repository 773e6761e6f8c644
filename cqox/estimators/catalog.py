"""Every estimator, and the one place that runs them under supervision."""

from collections.abc import Iterable
from functools import cache

from cqox.errors import UnusableData
from cqox.estimators.adjustment import doubly_robust, regression, stratification, transport, weighting
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.dose import dose_response
from cqox.estimators.estimate import Estimate, Status
from cqox.estimators.estimator import Estimator
from cqox.estimators.interference import spillovers
from cqox.estimators.iv import instruments, proximal
from cqox.estimators.learners import causal_forest, double_ml, meta_learners
from cqox.estimators.matching import with_replacement
from cqox.estimators.mediation import linear
from cqox.estimators.numerics.array_store import let_go
from cqox.estimators.numerics.blas_threads import one_blas_thread
from cqox.estimators.off_policy import policy_value
from cqox.estimators.panel import did, did_staggered, panel_matching
from cqox.estimators.plan import Plan
from cqox.estimators.rd import discontinuity
from cqox.estimators.synthetic import synthetic_control
from cqox.estimators.time_series import interrupted_series

__all__ = ["applicable", "catalog", "entries", "run"]


@cache
def catalog() -> tuple[Estimator, ...]:
    """Every estimator that a request runs unless it names some, by family."""
    return (
        *regression.ESTIMATORS,
        *stratification.ESTIMATORS,
        *weighting.ESTIMATORS,
        *with_replacement.ESTIMATORS,
        *doubly_robust.ESTIMATORS,
        *double_ml.ESTIMATORS,
        *meta_learners.ESTIMATORS,
        *instruments.ESTIMATORS,
        *did.ESTIMATORS,
        *did_staggered.ESTIMATORS,
        *discontinuity.ESTIMATORS,
        *synthetic_control.ESTIMATORS,
        *interrupted_series.ESTIMATORS,
        *policy_value.ESTIMATORS,
        *transport.ESTIMATORS,
        *proximal.ESTIMATORS,
        *linear.ESTIMATORS,
        *dose_response.ESTIMATORS,
        *panel_matching.ESTIMATORS,
        *spillovers.ESTIMATORS,
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
