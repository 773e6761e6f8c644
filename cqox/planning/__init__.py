"""Planning a study: its sample size, the smallest effect that it detects, and its power.

Pure, as the estimators are: numbers or columns in, a report out.
"""

from cqox.planning.calculation import power
from cqox.planning.report import PowerReport

__all__ = ["PowerReport", "power"]
