"""JSON-safe numbers: NaN and infinities become null, with a warning that names their paths.

Every estimate passes here, so an estimator that overflows floating point is detected in one place. Diagnostics and
figures are checked once more before they leave the worker process.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cqox.contract.messages import Message

if TYPE_CHECKING:
    from cqox.estimators import Estimate

__all__ = ["finite", "finite_estimate", "named"]

_MOST_NAMED = 5
_WITHOUT_FLOATS = frozenset({bool, int, str, type(None), Message})


def finite(value: object, where: str = "") -> tuple[object, list[str]]:
    """Return the JSON value with null in place of NaN and infinities, and their paths; the same object if finite.

    Args:
        value: objects and arrays with their content; values of other types stay unchanged.
        where: path of the value itself.
    """
    if _is_finite(value):
        return value, []
    lost: list[str] = []
    return _replaced(value, where, lost), lost


def _is_finite(value: object) -> bool:
    """Return whether all numbers of a value are finite; reports are searched whole each time, so without recursion."""
    waiting, is_finite = [value], math.isfinite
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            members: Iterable[object] = each.values()
        elif isinstance(each, list | tuple):
            members = each
        else:
            members = (each,)
        for member in members:
            # Half of the members are floats, and no exact type needs the test of an instance.
            if type(member) is float:
                if not is_finite(member):
                    return False
            elif type(member) not in _WITHOUT_FLOATS:
                if isinstance(member, dict | list | tuple):
                    waiting.append(member)
                elif isinstance(member, float) and not is_finite(member):
                    return False
    return True


def _replaced(value: object, where: str, lost: list[str]) -> object:
    """Return the value with null in place of what is not finite, and add the paths of that."""
    if _is_finite(value):
        return value
    if isinstance(value, dict):
        return {key: _replaced(each, f"{where}.{key}" if where else str(key), lost) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(each, f"{where}.{at}" if where else str(at), lost) for at, each in enumerate(value)]
    lost.append(where)
    return None


def named(paths: Sequence[str]) -> Message:
    """Format the paths, the first few of many."""
    more = len(paths) - _MOST_NAMED
    if more <= 0:
        return Message("analysis.names", names=paths)
    return Message("analysis.names-and-more", names=paths[:_MOST_NAMED], more=more)


def finite_estimate(estimate: "Estimate") -> "Estimate":
    """Return the estimate itself if its numbers are finite; as `failed` if it or its standard error is not.

    Any other number that is not finite (an interval bound, a p-value, a diagnostic) becomes None, with a warning.
    """
    for name in ("estimate", "standard_error"):
        number = getattr(estimate, name)
        if number is not None and not math.isfinite(number):
            return replace(
                estimate,
                status="failed",
                reason=Message("analysis.computation-overflowed"),
                influence=None,
                diagnostics={},
                warnings=(),
                estimate=None,
                standard_error=None,
                ci_lower=None,
                ci_upper=None,
                p_value=None,
                n_effective=None,
            )
    numbers = {name: getattr(estimate, name) for name in ("ci_lower", "ci_upper", "p_value", "n_effective")}
    rest, lost = finite(numbers)
    assert isinstance(rest, dict)
    details, paths = finite(dict(estimate.diagnostics), "diagnostics")
    if not lost and not paths:
        return estimate
    assert isinstance(details, dict)
    warning = Message("analysis.numbers-overflowed", names=named([*lost, *paths]))
    return replace(
        estimate,
        status="warning" if estimate.status == "ok" else estimate.status,
        diagnostics=details,
        warnings=(*estimate.warnings, warning),
        ci_lower=rest["ci_lower"],
        ci_upper=rest["ci_upper"],
        p_value=rest["p_value"],
        n_effective=rest["n_effective"],
    )
