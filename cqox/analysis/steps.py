"""The names of the steps that an analysis reports, but for those of its estimators."""

__all__ = ["STEPS"]

STEPS = ("read", "plan", "diagnostics", "figures")
"""In the order in which they begin; `plan` comes again where there are several contrasts."""
