"""Test support for resilient code: a fake clock, virtual time, captured events, scripted faults, no pauses, no parts.

`cqox.resilience.testing.fixtures` has fixtures of pytest."""

from cqox.resilience.pipeline.events import capture_events
from cqox.resilience.runtime.instant import instant
from cqox.resilience.runtime.passing import disabled
from cqox.resilience.testing.clock import FakeClock
from cqox.resilience.testing.faults import Script, Slow
from cqox.resilience.testing.loop import VirtualTimeLoop, run_in_virtual_time

__all__ = [
    "FakeClock",
    "Script",
    "Slow",
    "VirtualTimeLoop",
    "capture_events",
    "disabled",
    "instant",
    "run_in_virtual_time",
]
