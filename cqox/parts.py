"""Distributions that share the package `cqox`: the base, and `cqox-analysis`, which an extra adds."""

from importlib.util import find_spec

__all__ = ["is_installed"]


def is_installed(module: str) -> bool:
    """Return whether the distribution of a module of `cqox` is installed, so that its absence is a defect.

    Args:
        module: dotted name of a module that was not found; False for one of another package.
    """
    package, _, rest = module.partition(".")
    return package == "cqox" and find_spec(f"cqox.{rest.partition('.')[0]}") is not None
