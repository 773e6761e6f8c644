"""The catalog of all estimators, and the supervised function that runs each of them."""

from collections.abc import Iterable
from functools import cache

from cqox.contract.messages import Message, of
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
from cqox.estimators.numerics.array_store import drop_pages
from cqox.estimators.numerics.blas_threads import one_blas_thread
from cqox.estimators.off_policy import policy_value
from cqox.estimators.panel import did, did_staggered, panel_matching
from cqox.estimators.plan import Plan
from cqox.estimators.rd import discontinuity
from cqox.estimators.synthetic import synthetic_control
from cqox.estimators.time_series import forecast, interrupted_series

__all__ = ["applicable", "catalog", "entries", "reason_against", "run"]


@cache
def catalog() -> tuple[Estimator, ...]:
    """Return every estimator that a request runs by default, by family."""
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
        *forecast.ESTIMATORS,
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
    """Return all estimators: the catalog, then the slow ones that run only on request by name."""
    return (*catalog(), *double_ml.ON_REQUEST, *causal_forest.ON_REQUEST)


def applicable(estimators: Iterable[Estimator], plan: Plan) -> list[Estimator]:
    """Return the estimators that apply to the plan's data; one whose rule raises does not, and `run` reports why."""

    def applies(estimator: Estimator) -> bool:
        try:
            return estimator.applies(plan) is None
        except Exception:  # noqa: BLE001 - the supervised root of a rule: the others must stand
            return False

    return [estimator for estimator in estimators if applies(estimator)]


def reason_against(estimator: Estimator, plan: Plan) -> Message | None:
    """Return why `run` would give no estimate before it computes one; None if it would compute."""
    try:
        return estimator.applies(plan)
    except MemoryError:
        return Message("estimators.out-of-memory")
    except Exception as error:  # noqa: BLE001 - the supervised root of a rule: the others must stand
        return of(f"{type(error).__name__}: {error}")


def run(estimator: Estimator, plan: Plan) -> Estimate:
    """Return the estimate, or the reason for its absence: `skipped` if it does not apply, `failed` if it raised.

    During the run the process's BLAS uses one thread, because the row passes use the other cores.
    """
    checkpoint()
    try:
        with one_blas_thread():
            reason = estimator.applies(plan)
            if reason is not None:
                return _without_number(estimator, "skipped", reason)
            return estimator.run(plan)
    except UnusableData as error:
        return _without_number(estimator, "skipped", of(error.detail))
    except MemoryError:
        return _without_number(estimator, "failed", Message("estimators.out-of-memory"))
    except Exception as error:  # noqa: BLE001 - the supervised root of an estimator: the others must stand
        return _without_number(estimator, "failed", of(f"{type(error).__name__}: {error}"))
    finally:
        drop_pages()


def _without_number(estimator: Estimator, status: Status, reason: Message) -> Estimate:
    return Estimate(
        name=estimator.name, family=estimator.family, estimand=estimator.estimand, status=status, reason=reason
    )
