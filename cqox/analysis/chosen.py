"""Choice of the estimators of a request, their settings, and the primary estimate; nothing is estimated."""

from collections.abc import Collection, Sequence

from cqox import diagnostics as judge
from cqox.contract import EstimationOptions, Options
from cqox.estimators import Estimator, Plan, Settings, applicable, catalog, entries

__all__ = ["chosen_estimators", "primary_of", "settings_of"]


def settings_of(options: Options, threads: int) -> Settings:
    """Return the settings of the estimators that options ask for."""
    asked = {name: getattr(options, name) for name in EstimationOptions.model_fields}
    named = frozenset(options.estimators or ()) | ({options.primary} if options.primary else frozenset())
    return Settings(**asked, named=named, threads=threads)


def chosen_estimators(options: Options) -> tuple[Estimator, ...]:
    """Return the estimators to run, in catalog order; their names were validated with the request."""
    usual = {estimator.name: estimator for estimator in catalog()}
    known = {estimator.name: estimator for estimator in entries()} | usual
    wanted = {*(usual if options.estimators is None else options.estimators), options.primary}
    return tuple(estimator for name, estimator in known.items() if name in wanted)


def primary_of(
    plan: Plan, chosen: Sequence[Estimator], options: Options, refused: Collection[str] = ()
) -> judge.Primary:
    """Return the primary estimate of a contrast.

    Args:
        plan: the plan of the rows, or of a sample of them.
        chosen: the estimators to run.
        options: the request's options.
        refused: names of estimators that all rows do not support, whatever the sample says.

    Raises:
        InvalidRequest: `options.primary`, `options.assumes` or `options.assignment` does not fit the design.
    """
    able = applicable([each for each in chosen if each.name not in refused], plan)
    primary = judge.choose_primary(plan, able, options.primary, assignment=options.assignment)
    judge.check_assumes(primary.name, plan, options)
    return primary
