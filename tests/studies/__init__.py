"""Simulated studies whose right verdict is known: `python -m tests.studies` runs them and writes their table."""
