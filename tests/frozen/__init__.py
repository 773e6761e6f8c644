"""What a change of names and places inside must leave as it is: public names, contract, series, settings, numbers.

`python -m tests.frozen` rewrites the files from the code as it is; do so only with an entry in the CHANGELOG.
"""
