"""Logging: one line per event on standard output, readable on a terminal and JSON elsewhere.

Records of the standard library's loggers (Hypercorn, the resilience library) take the same path. Client input is
masked, escaped and bounded. Log lines that the requirements quote are kept word for word.

The calling thread takes a bounded snapshot of the record (`snapshot`, `failures`) and never blocks; a writer thread
renders it (`lines`) and writes it (`writer`).
"""

from services.http.observability.logs.setup import flush_logs, set_up_logging

__all__ = ["flush_logs", "set_up_logging"]
