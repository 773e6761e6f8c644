"""The names of the steps that an analysis reports, but for those of its estimators."""

__all__ = ["STEPS"]

STEPS = ("read", "plan", "sums", "diagnostics", "figures")
"""In the order in which they begin; `plan` comes again where there are several contrasts, `sums` only where an engine
makes them."""
