"""CQOx under deterministic simulation: its services, stores and workload in one event loop with seeded faults."""
