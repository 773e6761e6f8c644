"""Tasks of the worker of a single caller, who waits for its start: it loads at the first task what that one needs."""

from cqox.analysis.work import perform

__all__ = ["load", "perform", "warm"]


def load() -> None:
    """Do nothing, see `warm`."""


def warm() -> None:
    """Do nothing: an analysis of synthetic rows would take longer than what it saves the first real one."""
