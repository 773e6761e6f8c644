"""The choice of the standard error that is reported, and the sentences about it, wherever the rows are.

The rules are those of `docs/standard-errors.md`. They need the numbers of clusters, and no row.
"""

from collections.abc import Sized
from typing import Literal, Protocol

from cqox.contract.messages import Message
from cqox.estimators.data import Settings
from cqox.estimators.inference.cluster_arms import ClustersByArm
from cqox.estimators.inference.clusters import FEW_CLUSTERS

__all__ = ["Grouped", "Kind", "by_unit", "error_choice", "few_clusters", "no_error", "unclustered"]

type Kind = Literal["iid", "HC0", "HC1", "HC2", "HC3", "CRV1", "CRV3"]


class Grouped(Protocol):
    """Groups of rows of which only the numbers matter."""

    @property
    def codes(self) -> Sized:
        """One entry for each dimension."""
        ...

    @property
    def fewest(self) -> int:
        """The number of groups in the dimension with the fewest; 0 without groups."""
        ...

    @property
    def mapped(self) -> bool:
        """True if the mapping names them; else they are the units, each of several rows."""
        ...


def error_choice(
    by_arm: ClustersByArm | None, clusters: Grouped, settings: Settings, default: Kind
) -> tuple[Kind, list[Message], list[Message]]:
    """Return the error to report, with notes and warnings on the choice.

    Args:
        by_arm: the clusters of each arm, where arms are compared.
        clusters: groups of rows whose errors may be correlated.
        settings: which standard error was asked for.
        default: without clusters, for `auto`.
    """
    asked, notes, warnings = settings.se, list[Message](), list[Message]()
    if not clusters.codes:
        if asked in ("CRV1", "CRV3"):
            same: Kind = "HC1" if asked == "CRV1" else "HC3"
            notes.append(Message("inference.no-cluster-mapped", asked=asked, error=same))
            return same, notes, warnings
        return (default if asked == "auto" else asked), notes, warnings
    if len(clusters.codes) > 1 and asked in ("auto", "CRV3"):
        if asked == "CRV3":
            notes.append(Message("inference.crv3-for-one-dimension"))
        return "CRV1", notes, [*few_clusters(clusters), *_few_treated(by_arm)]
    if asked == "CRV1":
        return asked, notes, [*few_clusters(clusters), *_few_treated(by_arm)]
    if asked != "auto":
        return asked, notes, _few_treated(by_arm) if asked == "CRV3" else unclustered(clusters, settings)
    doubts = _few_treated(by_arm)
    return ("CRV3" if doubts or clusters.fewest < FEW_CLUSTERS else "CRV1"), notes, doubts


def few_clusters(clusters: Grouped) -> list[Message]:
    """Return a warning of few clusters, for a variance without a correction for them."""
    if clusters.fewest >= FEW_CLUSTERS:
        return []
    return [Message("inference.few-clusters", clusters=clusters.fewest, enough=FEW_CLUSTERS)]


def unclustered(clusters: Grouped, settings: Settings) -> list[Message]:
    """Return a warning if the requested standard error treats rows of a cluster as independent."""
    if not clusters.codes or settings.se in ("auto", "CRV1", "CRV3"):
        return []
    if clusters.mapped:
        return [Message("inference.rows-of-cluster-as-independent", asked=settings.se)]
    return [Message("inference.rows-of-unit-as-independent", asked=settings.se)]


def _few_treated(by_arm: ClustersByArm | None) -> list[Message]:
    doubt = None if by_arm is None else by_arm.doubt()
    return [] if doubt is None else [doubt]


def no_error(variance: float, *, clustered: bool) -> Message:
    """Return the reason why a variance that is not positive gives no standard error."""
    if variance == 0 and clustered:
        return Message("inference.cluster-sums-zero")
    return Message("inference.variance-not-positive")


def by_unit(clusters: Grouped) -> str:
    """Return what the name of a clustered error ends with: whether the clusters are the units."""
    return "" if clusters.mapped else " by unit"
