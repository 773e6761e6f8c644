"""Deterministic simulation of Trio services: one seed is one run, of hours in seconds, under faults that it determines.

Everything runs in one thread of one process: the services, the network between them, their disks, their stores and
their clients. Time jumps to the next event, and the seed decides whatever a real system leaves to chance, so that a
failure can be repeated. `World` is the run, `SimulatedNetwork` its network, `SimulatedProcess` a service in it.
"""
