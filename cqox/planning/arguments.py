"""Arguments of a power calculation, and whether they fit each other; the data are not looked at."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cqox.contract.messages import Message
from cqox.contract.words import unknown_word
from cqox.errors import InvalidRequest
from cqox.planning.designs import RateTest
from cqox.planning.panels import PanelEstimator

__all__ = ["Arguments", "Unknown", "checked"]

type Unknown = Literal["effect", "n", "power"]
type _Test = Callable[[float], bool]

_POWER = 0.8
_SHARES = ("alpha", "power")
_SHARES_OR_ZERO = ("r2", "r2_clusters", "icc", "autocorrelation", "pair_correlation")
_POSITIVE = ("ratio",)
_WHOLE = {"n": 2, "clusters": 2, "periods_before": 0, "periods_after": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Arguments of `power`, under its names."""

    effect: float | None = None
    n: int | None = None
    power: float | None = None
    alpha: float = 0.05
    one_sided: bool = False
    relative: bool = False
    better: str = "higher"
    ratio: float | None = None
    sd: float | tuple[float, float] | None = None
    baseline: float | None = None
    rate_test: RateTest = "score"
    r2: float | None = None
    r2_clusters: float | None = None
    icc: float | None = None
    clusters: int | None = None
    cluster_size: float | None = None
    cluster_size_cv: float | None = None
    periods_before: int | None = None
    periods_after: int | None = None
    autocorrelation: float | None = None
    serial_correlation: float | None = None
    estimator: PanelEstimator | None = None
    pair_correlation: float | None = None

    @property
    def over_time(self) -> bool:
        """True for a study that compares periods."""
        return self.periods_after is not None or self.periods_before is not None

    @property
    def target(self) -> float:
        """Power that is asked for, or that the curve has."""
        return _POWER if self.power is None else self.power


def checked(given: Arguments, *, data: bool, panel: bool, clustered: bool) -> tuple[Arguments, Unknown]:
    """Return the arguments as they are used, and which of effect, n and power is to be computed.

    Args:
        given: the arguments.
        data: whether a frame is given as well.
        panel: whether columns of units and periods are.
        clustered: whether a column of clusters is.

    Raises:
        InvalidRequest: a value is out of its range, or arguments contradict each other or are missing; the field is
            the argument.
    """
    _check_words(given)
    _check_ranges(given)
    _check_sds(given.sd)
    _check_clusters(given, clustered=clustered)
    _check_time(given, data=data, panel=panel)
    _check_pairs(given, panel=panel, clustered=clustered)
    if given.clusters is not None and given.cluster_size is not None:
        given = replace(given, n=round(given.clusters * given.cluster_size), clusters=None)
    if not data:
        _check_noise(given)
    return given, _unknown(given, data=data)


def _unknown(given: Arguments, *, data: bool) -> Unknown:
    known = [name for name in ("effect", "n", "power") if getattr(given, name) is not None]
    if len(known) == 3:
        raise InvalidRequest(Message("power.all-given"), field="power")
    if given.effect is None:
        if given.n is None and not data:
            raise InvalidRequest(Message("power.nothing-to-compute"), field="effect")
        return "effect"
    if given.effect == 0:
        raise InvalidRequest(Message("power.zero-effect"), field="effect")
    return "n" if given.n is None else "power"


def _check_words(given: Arguments) -> None:
    choices = {"better": ("higher", "lower"), "rate_test": ("score", "arcsine", "wald")}
    if given.estimator is not None:
        choices["estimator"] = ("did", "ancova", "post")
    for name, valid in choices.items():
        value = getattr(given, name)
        if value not in valid:
            raise unknown_word(Message("power.word-value", argument=name), str(value), valid, field=name)


def _check_ranges(given: Arguments) -> None:
    for name in _SHARES:
        _check(given, name, lambda value: 0 < value < 1, Message("power.range-share"))
    for name in _SHARES_OR_ZERO:
        _check(given, name, lambda value: 0 <= value < 1, Message("power.range-share-or-zero"))
    for name in _POSITIVE:
        _check(given, name, lambda value: value > 0, Message("power.range-positive"))
    for name, least in _WHOLE.items():
        _check(given, name, _is_whole(least), Message("power.range-whole", least=least))
    _check(given, "cluster_size", lambda value: value >= 1, Message("power.range-at-least", least=1))
    _check(given, "cluster_size_cv", lambda value: value >= 0, Message("power.range-at-least", least=0))
    _check(given, "serial_correlation", lambda value: -1 < value < 1, Message("power.range-correlation"))
    _check(given, "effect", lambda value: True, Message("power.range-finite"))
    _check(given, "baseline", lambda value: True, Message("power.range-finite"))
    if given.target <= given.alpha:
        raise InvalidRequest(Message("power.power-below-alpha", power=given.target, alpha=given.alpha), field="power")


def _is_whole(least: int) -> _Test:
    return lambda value: value == int(value) and value >= least


def _check(given: Arguments, name: str, holds: _Test, wanted: Message) -> None:
    value = getattr(given, name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not holds(value):
        raise InvalidRequest(Message("power.out-of-range", argument=name, wanted=wanted, value=str(value)), field=name)


def _check_sds(sd: float | Sequence[float] | None) -> None:
    if sd is None:
        return
    values = list(sd) if isinstance(sd, Sequence) else [sd]
    for value in values:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
        if not fits or not 1 <= len(values) <= 2:
            raise InvalidRequest(Message("power.sds", value=str(sd)), field="sd")


def _check_clusters(given: Arguments, *, clustered: bool) -> None:
    if clustered:
        return
    sized = given.clusters is not None or (given.cluster_size is not None and given.cluster_size > 1)
    if sized and given.icc is None:
        raise InvalidRequest(Message("power.icc-missing"), field="icc")
    if given.icc is not None and given.clusters is None and given.cluster_size is None:
        raise InvalidRequest(Message("power.cluster-size-missing"), field="cluster_size")
    if given.clusters is not None and given.cluster_size is not None and given.n is not None:
        raise InvalidRequest(Message("power.size-given-twice"), field="n")
    for name in ("cluster_size_cv", "r2_clusters"):
        if getattr(given, name) is not None and given.icc is None:
            raise InvalidRequest(Message("power.only-with-clusters", argument=name), field=name)


def _check_time(given: Arguments, *, data: bool, panel: bool) -> None:
    if given.over_time and (given.periods_before is None or given.periods_after is None):
        missing = "periods_before" if given.periods_before is None else "periods_after"
        raise InvalidRequest(Message("power.periods-incomplete"), field=missing)
    for name in ("autocorrelation", "serial_correlation", "estimator"):
        if getattr(given, name) is not None and not given.over_time and not panel:
            raise InvalidRequest(Message("power.only-with-periods", argument=name), field=name)
    if not given.over_time:
        return
    if given.estimator in ("did", "ancova") and given.periods_before == 0:
        raise InvalidRequest(Message("power.no-periods-before", estimator=given.estimator), field="estimator")
    if given.autocorrelation is None and not panel:
        raise InvalidRequest(Message("power.autocorrelation-missing"), field="autocorrelation")
    if not data and (given.icc is not None or given.clusters is not None):
        raise InvalidRequest(Message("power.clusters-over-time"), field="icc")


def _check_pairs(given: Arguments, *, panel: bool, clustered: bool) -> None:
    if given.pair_correlation is None:
        return
    others = given.over_time or panel or clustered or given.icc is not None or given.clusters is not None
    if others or given.ratio not in (None, 1):
        raise InvalidRequest(Message("power.pairs-alone"), field="pair_correlation")
    if given.n is not None and given.n % 2:
        raise InvalidRequest(Message("power.odd-pairs"), field="n")


def _check_noise(given: Arguments) -> None:
    if given.sd is None and given.baseline is None:
        raise InvalidRequest(Message("power.noise-missing"), field="sd")
    if given.sd is None and given.baseline is not None and not 0 < given.baseline < 1:
        raise InvalidRequest(Message("power.baseline-no-rate", baseline=given.baseline), field="baseline")
