"""Objects that policy files of the tests name."""

from cqox.resilience import UnwantedResult

calls: list[str] = []

number = 1


class Busy(Exception):
    """The dependency is busy."""


def is_busy(error: Exception) -> bool:
    return isinstance(error, Busy | UnwantedResult)


def is_slow(result: object) -> bool:
    return result == "slow"


def pause(attempt: int, error: Exception) -> float:
    return 0.0


def nothing(error: Exception) -> str:
    return "nothing"


async def nothing_awaited(error: Exception) -> str:
    return "nothing awaited"


async def probe() -> bool:
    return True
