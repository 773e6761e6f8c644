"""Deadlines of blocks and timeouts of attempts."""
