"""The planned share of treated rows of each contrast, from `options.expected_share`."""

from collections.abc import Mapping

from cqox.analysis.levels import Levels
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

__all__ = ["planned_shares"]

_FIELD = "options.expected_share"


def planned_shares(
    asked: float | Mapping[str, float] | None, levels: Levels, *, by_instrument: bool
) -> tuple[float | None, ...]:
    """Return the planned share of the level of each contrast among the rows that it compares.

    Args:
        asked: one share, of the treated level or of the instrument's value 1, or a share by level of the treatment.
            A level that alone is left out has the rest.
        levels: of the treatment.
        by_instrument: True if an instrument is mapped, whose share it then is.

    Raises:
        InvalidRequest: a level does not exist, one share is given for several levels, or for an amount.
    """
    if asked is None:
        return (None,) * len(levels.contrasts)
    if by_instrument:
        if isinstance(asked, Mapping):
            raise InvalidRequest(Message("analysis.share-of-instrument"), field=_FIELD)
        return (asked,) * len(levels.contrasts)
    if levels.kind != "binary":
        raise InvalidRequest(Message("analysis.share-needs-levels"), field=_FIELD)
    known = list(dict.fromkeys(name for level in levels.contrasts for name in level.compared or ()))
    if not isinstance(asked, Mapping):
        if len(levels.contrasts) > 1:
            raise InvalidRequest(Message("analysis.share-by-level", levels=known), field=_FIELD, choices=known)
        return (asked,)
    for name in asked:
        if name not in known:
            raise InvalidRequest(
                Message("analysis.no-level-of-share", level=name, levels=known), field=_FIELD, choices=known
            )
    shares = dict(asked)
    rest = [name for name in known if name not in shares]
    if len(rest) == 1 and (left := 1.0 - sum(shares.values())) > 0:
        shares[rest[0]] = left
    return tuple(_share(shares, level.compared) for level in levels.contrasts)


def _share(shares: Mapping[str, float], compared: tuple[str, str] | None) -> float | None:
    reference, level = compared or ("", "")
    if reference not in shares or level not in shares:
        return None
    return shares[level] / (shares[reference] + shares[level])
