"""Logging: one line per event on standard output, readable on a terminal and JSON elsewhere.

Messages of the standard library's loggers (Hypercorn, the resilience library) take the same path. What the owner's
document quotes literally is in the log literally; what a client wrote is masked, escaped and bounded.

The calling thread takes a bounded snapshot of what is logged (`snapshot`, `failures`) and never waits; a thread of its
own renders it (`lines`) and writes it (`writer`).
"""

from services.http.observability.logs.setup import flush_logs, set_up_logging

__all__ = ["flush_logs", "set_up_logging"]
