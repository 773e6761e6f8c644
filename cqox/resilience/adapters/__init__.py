"""Adapters to libraries of others, one module each, which alone imports the library that it adapts."""
