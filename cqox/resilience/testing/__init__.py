"""What tests of resilient code need: time that they move, events that they read, faults that they write."""

from cqox.resilience.pipeline.events import capture_events
from cqox.resilience.testing.clock import FakeClock
from cqox.resilience.testing.faults import Script, Slow
from cqox.resilience.testing.loop import VirtualTimeLoop, run_in_virtual_time

__all__ = ["FakeClock", "Script", "Slow", "VirtualTimeLoop", "capture_events", "run_in_virtual_time"]
