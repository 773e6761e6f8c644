"""Matching with replacement, and the pairs that sensitivity analyses read."""
