"""Spans, metrics and log lines of requests."""
