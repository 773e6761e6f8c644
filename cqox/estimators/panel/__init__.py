"""Difference in differences, staggered adoption, imputation and matching on treatment histories."""
