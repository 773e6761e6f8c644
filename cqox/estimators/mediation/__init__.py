"""Mediation by linear equations, with delta-method errors and a sensitivity analysis."""
