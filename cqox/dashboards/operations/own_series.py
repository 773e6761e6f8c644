"""Series that the client of Prometheus or Prometheus itself records, in the form of those of the table."""

from cqox.telemetry.metric_definitions import Series

__all__ = ["PROCESS_CPU", "PROCESS_FILES", "PROCESS_MEMORY", "UP"]

UP = Series(name="up", kind="gauge", unit="1", meaning="1 while a process answers, else 0.")
PROCESS_MEMORY = Series(name="process.resident_memory", kind="gauge", unit="By", meaning="Resident memory.")
PROCESS_CPU = Series(name="process.cpu", kind="total", unit="s", meaning="CPU time of the process.")
PROCESS_FILES = Series(name="process.open_fds", kind="gauge", unit="1", meaning="Open file descriptors.")
