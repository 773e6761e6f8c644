"""What every part stands on: clocks, event loops, counters, and the deadline and criticality of a call."""
