"""Retries, backoff, budgets, hedges and fallbacks, and the classification of failures that they read."""
