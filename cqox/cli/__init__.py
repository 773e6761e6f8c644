"""The command line of the library: `python -m cqox`, and the commands that the script `cqox` shares with it."""
