"""Interference: exposure mappings, spillover effects and spatially correlated errors."""
