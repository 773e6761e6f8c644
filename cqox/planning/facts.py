"""Numbers that a power calculation needs about the outcome and the arms, given or measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from cqox.contract.messages import Message
from cqox.planning.arguments import Arguments
from cqox.planning.panels import Moments

__all__ = ["Facts", "PanelFacts", "with_given"]


class PanelFacts(NamedTuple):
    """Moments of units over the planned periods.

    Attributes:
        pooled: of both arms together, each about its own mean.
        by_arm: of the untreated and of the treated, where each has enough units.
        before, after: planned periods.
    """

    pooled: Moments
    by_arm: tuple[Moments, Moments] | None
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Numbers about the outcome and the arms.

    Attributes:
        n: rows, or units of a panel, of the data.
        sds: standard deviations of the outcome, untreated and treated.
        by_arm: whether they are of the arms, rather than one for both.
        baseline: mean, or rate, without treatment.
        rate: whether the outcome is 0 or 1.
        ratio: treated for each untreated.
        r2, r2_clusters: share that covariates explain, of the variance within clusters and between them.
        covariates: degrees of freedom that covariates take.
        icc: intra-cluster correlation.
        cluster_size, cluster_size_cv: mean rows of a cluster, and the standard deviation of them over the mean.
        panel: moments over the planned periods, where they were measured.
        autocorrelation, serial_correlation: parameters of correlations over periods; see `correlations`.
        measured: names of the attributes that come from data.
        notes: what else there is to say of the data.
    """

    n: int | None = None
    sds: tuple[float, float] | None = None
    by_arm: bool = False
    baseline: float | None = None
    rate: bool = False
    ratio: float = 1.0
    r2: float = 0.0
    r2_clusters: float | None = None
    covariates: int = 0
    icc: float | None = None
    cluster_size: float | None = None
    cluster_size_cv: float = 0.0
    panel: PanelFacts | None = None
    autocorrelation: float | None = None
    serial_correlation: float = 0.0
    measured: frozenset[str] = frozenset()
    notes: tuple[Message, ...] = field(default=())


def with_given(facts: Facts, given: Arguments) -> Facts:
    """Return the facts with every number that is given in place of the measured one."""
    changes: dict[str, object] = {}
    if given.sd is not None:
        sds = list(given.sd) if isinstance(given.sd, list | tuple) else [given.sd]
        changes |= {"sds": (float(sds[0]), float(sds[-1])), "by_arm": len(sds) == 2}
    for name in _PLAIN:
        value = getattr(given, name)
        if value is not None:
            changes[name] = float(value)
    if given.clusters is not None and facts.cluster_size is not None:
        changes["n"] = round(given.clusters * facts.cluster_size)
    if given.r2 is not None or given.r2_clusters is not None:
        changes["covariates"] = facts.covariates or int((given.r2_clusters or given.r2 or 0.0) > 0)
    if given.sd is None and facts.sds is None:
        changes["rate"] = True
    elif given.sd is not None:
        changes["rate"] = False
    taken = {"sds" if name == "sd" else name for name in _given_names(given)}
    return replace(facts, measured=facts.measured - taken, **changes)  # type: ignore[arg-type]


_PLAIN = (
    "baseline", "ratio", "r2", "r2_clusters", "icc", "cluster_size", "cluster_size_cv", "autocorrelation",
    "serial_correlation",
)  # fmt: skip


def _given_names(given: Arguments) -> Mapping[str, object]:
    return {name: value for name in ("sd", *_PLAIN) if (value := getattr(given, name)) is not None}
