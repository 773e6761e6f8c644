"""Deadline, attempt and criticality on their way from one service to the next."""
