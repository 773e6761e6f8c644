"""Instrumental variables and proximal inference, with tests of their assumptions."""
