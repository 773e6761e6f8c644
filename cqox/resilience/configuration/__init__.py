"""Policies from files: the format and its schema, reading and checking, building, and reloading in place."""

from cqox.resilience.configuration.on_demand import new_files
from cqox.resilience.configuration.problems import PolicyFileInvalid, PolicyNotLoaded

__all__ = ["PolicyFileInvalid", "PolicyNotLoaded", "new_files"]
