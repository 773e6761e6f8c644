"""Policies from files: the format and its schema, reading and checking, building, and reloading in place."""

from cqox.resilience.configuration.policy_files import PolicyFiles
from cqox.resilience.configuration.problems import PolicyFileInvalid, PolicyNotLoaded

__all__ = ["PolicyFileInvalid", "PolicyFiles", "PolicyNotLoaded"]
