"""Matching with replacement, and the matched pairs of sensitivity analyses."""
