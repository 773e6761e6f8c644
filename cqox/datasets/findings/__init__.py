"""Traps in the data that change an answer before any number is computed, each with what to send against it.

One module for each kind; `detect` lists those that a table alone shows, and `of_roles` those that need a mapping.
"""

from cqox.datasets.findings.acceptance import capping, with_accepted
from cqox.datasets.findings.detect import detect, detect_rows
from cqox.datasets.findings.of_roles import of_roles
from cqox.datasets.findings.periods import period_of_role

__all__ = ["capping", "detect", "detect_rows", "of_roles", "period_of_role", "with_accepted"]
