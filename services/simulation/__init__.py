"""The gateway, the engines and their stores under deterministic simulation: `python -m cqox.chaos simulate`.

Everything but the numerics, the network, the clocks and the servers of the stores is the code that serves in
production. What workers answer is recorded once from real ones.
"""
