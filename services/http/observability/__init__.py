"""Spans, measures and log lines of requests."""
