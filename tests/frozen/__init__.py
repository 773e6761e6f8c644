"""Interfaces that internal changes must not touch: public names, contract, series, settings, numbers.

`python -m tests.frozen` rewrites the files from the code as it is; do so only with an entry in the CHANGELOG.
"""
