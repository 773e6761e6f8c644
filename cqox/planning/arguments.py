"""Arguments of a power calculation, and whether they fit each other; the data are not looked at."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from cqox.contract.bounds import shortened
from cqox.contract.messages import Message
from cqox.contract.words import unknown_word
from cqox.errors import InvalidRequest
from cqox.planning.designs import RateTest
from cqox.planning.panels import PanelEstimator

__all__ = ["LARGEST", "SMALLEST", "Arguments", "Unknown", "checked"]

type Unknown = Literal["effect", "n", "power"]
type _Test = Callable[[float], bool]

_POWER = 0.8
_SHARES = ("alpha", "power")
_SHARES_OR_ZERO = ("r2", "r2_clusters", "icc", "autocorrelation", "pair_correlation")
_MOST = 10**12
_MOST_PERIODS = 2_000
_WHOLE = {
    "n": (2, _MOST),
    "clusters": (2, _MOST),
    "periods_before": (0, _MOST_PERIODS),
    "periods_after": (1, _MOST_PERIODS),
}
_BETWEEN = {"ratio": (1e-5, 1e5), "cluster_size": (1, _MOST), "cluster_size_cv": (0, 1e6)}
SMALLEST, LARGEST = 1e-50, 1e50
"""Ends of what is in units of the outcome; beyond them squares of variances are no numbers."""


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
    given = _plain(given)
    _check_words(given)
    _check_ranges(given)
    given = _with_whole(given)
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


def _plain(given: Arguments) -> Arguments:
    """Return the arguments with numbers of numpy as those of Python, and sequences as tuples."""
    found: dict[str, object] = {}
    for each in fields(given):
        value = getattr(given, each.name)
        found[each.name] = tuple(map(_number, value)) if isinstance(value, list | tuple) else _number(value)
    return replace(given, **found)  # type: ignore[arg-type]


def _number(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _check_words(given: Arguments) -> None:
    choices = {"better": ("higher", "lower"), "rate_test": ("score", "arcsine", "wald")}
    if given.estimator is not None:
        choices["estimator"] = ("did", "ancova", "post")
    for name, valid in choices.items():
        value = getattr(given, name)
        if not isinstance(value, str) or value not in valid:
            raise unknown_word(Message("power.word-value", argument=name), _shown(value), valid, field=name)
    for name in ("one_sided", "relative"):
        if not isinstance(getattr(given, name), bool):
            raise _out_of_range(name, getattr(given, name), Message("power.range-yes-or-no"))


def _check_ranges(given: Arguments) -> None:
    for name in _SHARES:
        _check(given, name, lambda value: 0 < value < 1, Message("power.range-share"))
    for name in _SHARES_OR_ZERO:
        _check(given, name, lambda value: 0 <= value < 1, Message("power.range-share-or-zero"))
    for name, (least, most) in _WHOLE.items():
        _check(given, name, _is_whole(least, most), Message("power.range-whole", least=least, most=most))
    for name, (low, high) in _BETWEEN.items():
        _check(given, name, _is_between(low, high), Message("power.range-between", least=low, most=high))
    _check(given, "serial_correlation", lambda value: -1 < value < 1, Message("power.range-correlation"))
    for name in ("effect", "baseline"):
        wanted = Message("power.range-magnitude", least=SMALLEST, most=LARGEST)
        _check(given, name, lambda value: value == 0 or SMALLEST <= abs(value) <= LARGEST, wanted)
    if given.target <= given.alpha:
        raise InvalidRequest(Message("power.power-below-alpha", power=given.target, alpha=given.alpha), field="power")


def _with_whole(given: Arguments) -> Arguments:
    """Return the arguments with whole numbers as such, also where they are given as 12.0."""
    whole: dict[str, object] = {name: int(value) for name in _WHOLE if (value := getattr(given, name)) is not None}
    return replace(given, **whole)  # type: ignore[arg-type]


def _is_whole(least: int, most: int) -> _Test:
    return lambda value: least <= value <= most and value == int(value)


def _is_between(least: float, most: float) -> _Test:
    return lambda value: least <= value <= most


def _check(given: Arguments, name: str, holds: _Test, wanted: Message) -> None:
    value = getattr(given, name)
    if value is not None and not (_is_number(value) and holds(value)):
        raise _out_of_range(name, value, wanted)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _out_of_range(name: str, value: object, wanted: Message) -> InvalidRequest:
    return InvalidRequest(Message("power.out-of-range", argument=name, wanted=wanted, value=_shown(value)), field=name)


def _check_sds(sd: object) -> None:
    if sd is None:
        return
    values = sd if isinstance(sd, tuple) else (sd,)
    fits = [_is_number(value) and SMALLEST <= value <= LARGEST for value in values]
    if not all(fits) or len(fits) not in (1, 2):
        raise InvalidRequest(Message("power.sds", least=SMALLEST, most=LARGEST, value=_shown(sd)), field="sd")


def _shown(value: object) -> str:
    try:
        return shortened(str(value))
    except ValueError:  # Python writes no whole number of thousands of digits
        return type(value).__name__


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
