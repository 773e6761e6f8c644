"""Regression discontinuity: bandwidths, robust bias correction and tests of manipulation."""
