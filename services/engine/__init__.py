"""The engine: a Quart-Trio app that computes."""
