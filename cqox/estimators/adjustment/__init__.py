"""Adjustment for measured covariates: regression, stratification, weighting, doubly robust, transport."""
