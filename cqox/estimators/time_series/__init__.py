"""Interrupted time series: segmented regression, seasons and autocorrelated errors."""
