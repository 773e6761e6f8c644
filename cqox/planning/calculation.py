"""Sample size, smallest detectable effect or power of a study that is planned."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from cqox.frames import as_polars
from cqox.planning.answer import answer
from cqox.planning.arguments import Arguments, checked
from cqox.planning.designs import RateTest
from cqox.planning.facts import Facts, with_given
from cqox.planning.panels import PanelEstimator
from cqox.planning.periods import facts_of_periods
from cqox.planning.report import PowerReport
from cqox.planning.rows import facts_of_rows

if TYPE_CHECKING:
    from cqox.planning.columns import Frame

__all__ = ["power"]


def power(
    data: object = None,
    *,
    y: str | None = None,
    treatment: str | None = None,
    cluster: str | None = None,
    unit: str | None = None,
    time: str | None = None,
    covariates: Sequence[str] = (),
    effect: float | None = None,
    n: int | None = None,
    power: float | None = None,
    alpha: float = 0.05,
    one_sided: bool = False,
    relative: bool = False,
    better: Literal["higher", "lower"] = "higher",
    ratio: float | None = None,
    sd: float | tuple[float, float] | None = None,
    baseline: float | None = None,
    rate_test: RateTest = "score",
    r2: float | None = None,
    r2_clusters: float | None = None,
    icc: float | None = None,
    clusters: int | None = None,
    cluster_size: float | None = None,
    cluster_size_cv: float | None = None,
    periods_before: int | None = None,
    periods_after: int | None = None,
    autocorrelation: float | None = None,
    serial_correlation: float | None = None,
    estimator: PanelEstimator | None = None,
    pair_correlation: float | None = None,
) -> PowerReport:
    """Return the sample size, the smallest detectable effect or the power of a planned study.

    Of `effect`, `n` and `power` one is computed. With numbers alone give two of them; `power` is 80% where it is left
    out and not computed. From data the smallest effect that a study of their size detects is computed, unless an
    `effect` is given, and then the size; give `effect` and `n` for the power. What is given replaces what the data say.

    Args:
        data: rows like those of the study: a frame of any library that `cqox.analyze` takes.
        y: column of the outcome; of 0 and 1 alone it is a rate.
        treatment: column of 0 and 1, for the allocation and the noise of each arm.
        cluster: column of clusters that are assigned as wholes. With `unit` and `time` absent, the rows of a cluster
            are correlated; with `time` the clusters are the units of a panel, and the rows of a period are averaged.
        unit: column of the units of a panel.
        time: column of its periods; treatment starts for all treated units in one period.
        covariates: columns that the analysis will adjust for.
        effect: in units of y, as a difference of rates, or with `relative` as a share of the baseline; negative for
            a decrease.
        n: rows in both arms; units of a panel; two for each pair.
        power: probability of finding the effect, above alpha.
        alpha: level of the test, in (0, 1).
        one_sided: whether the test is in the direction of the effect alone.
        relative: whether `effect` is a share of the baseline.
        better: direction of a computed effect.
        ratio: treated for each untreated.
        sd: standard deviation of y within an arm, or those of the untreated and the treated.
        baseline: mean without treatment; without `sd` the rate of an outcome of 0 and 1.
        rate_test: `score` (Pearson's chi-square), `arcsine`, or `wald` (unpooled variances).
        r2: share of the variance, of that within clusters if there are any, that covariates explain.
        r2_clusters: share that they explain of the variance between clusters; that of `r2` if it is left out.
        icc: intra-cluster correlation of the outcome.
        clusters: number of clusters where it is fixed; the rows of a cluster are then what grows with n.
        cluster_size: mean rows of a cluster.
        cluster_size_cv: standard deviation of these rows over their mean.
        periods_before: periods before the start; from data they may be left out if treatment starts in them. With 0
            the study has no baseline.
        periods_after: periods from the start on, likewise.
        autocorrelation: correlation of a unit's outcomes in two periods that does not fade with their distance.
        serial_correlation: first-order autoregression of the rest of a unit's outcomes.
        estimator: `did` (change), `ancova` (given the mean before) or `post`.
        pair_correlation: correlation of the outcomes of two rows that are paired, one of them treated.

    Raises:
        InvalidRequest: arguments are missing, out of range or contradict each other; `field` is the argument.
        UnusableData: the data do not fit the design, or no size or effect has the power.
    """
    given = Arguments(
        effect=effect, n=n, power=power, alpha=alpha, one_sided=one_sided, relative=relative, better=better,
        ratio=ratio, sd=sd, baseline=baseline, rate_test=rate_test, r2=r2, r2_clusters=r2_clusters, icc=icc,
        clusters=clusters, cluster_size=cluster_size, cluster_size_cv=cluster_size_cv, periods_before=periods_before,
        periods_after=periods_after, autocorrelation=autocorrelation, serial_correlation=serial_correlation,
        estimator=estimator, pair_correlation=pair_correlation,
    )  # fmt: skip
    columns = {"y": y, "treatment": treatment, "cluster": cluster, "unit": unit, "time": time}
    _check_columns(data is not None, columns, covariates, given)
    given, unknown = checked(given, data=data is not None, panel=time is not None, clustered=cluster is not None)
    facts = Facts()
    if data is not None and y is not None:
        facts = _measured(_frame(data), y, columns, covariates, given)
    return answer(given, with_given(facts, given), unknown)


def _frame(data: object) -> "Frame":
    return data if isinstance(data, Mapping) else as_polars(data)


def _check_columns(data: bool, columns: dict[str, str | None], covariates: Sequence[str], given: Arguments) -> None:
    named = [name for name, column in columns.items() if column is not None]
    if not data:
        if named or covariates:
            field = named[0] if named else "covariates"
            raise InvalidRequest(Message("power.columns-without-data", argument=field), field=field)
        return
    if columns["y"] is None:
        raise InvalidRequest(Message("power.outcome-missing"), field="y")
    if isinstance(covariates, str):
        raise InvalidRequest(Message("power.covariates-as-text"), field="covariates")
    who = columns["unit"] or columns["cluster"]
    if (columns["time"] is None) != (columns["unit"] is None) and not (columns["time"] and who):
        raise InvalidRequest(Message("power.unit-and-time"), field="time" if columns["time"] is None else "unit")
    if columns["time"] is None and given.over_time:
        raise InvalidRequest(Message("power.periods-without-time"), field="time")
    if columns["time"] is not None and (covariates or given.icc is not None or given.clusters is not None):
        field = "covariates" if covariates else "icc" if given.icc is not None else "clusters"
        raise InvalidRequest(Message("power.not-over-time", argument=field), field=field)


def _measured(
    data: "Frame", y: str, columns: dict[str, str | None], covariates: Sequence[str], given: Arguments
) -> Facts:
    treatment, cluster, unit, time = (columns[name] for name in ("treatment", "cluster", "unit", "time"))
    who = cluster or unit
    if time is not None and who is not None:
        return facts_of_periods(
            data, y, unit=who, time=time, treatment=treatment, before=given.periods_before, after=given.periods_after
        )
    return facts_of_rows(data, y, treatment=treatment, cluster=cluster, covariates=covariates)
