"""Peers of large tables whose pins clash with those of the project, in an environment of their own."""
