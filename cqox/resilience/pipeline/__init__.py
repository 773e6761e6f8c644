"""How parts become one call: permits, plans, the executor, decoration, blocks, generators and events."""
