"""Sensitivity to unmeasured confounding: E-values, omitted variable bounds and Rosenbaum bounds."""
