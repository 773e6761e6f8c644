"""Policies and decorators: parts put together, and advice on their order."""
