"""Limits on concurrency and rate: bulkheads, adaptive limits, rate limits, load shedding and drain."""
