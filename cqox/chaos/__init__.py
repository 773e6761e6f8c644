"""Break a system on purpose: deterministic simulation of Trio services, and experiments on real processes."""
