"""Continuous treatments: the dose-response curve and the average derivative."""
