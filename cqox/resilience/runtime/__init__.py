"""Foundations of every part: clocks, event loops, counters, and the deadline and criticality of a call."""
