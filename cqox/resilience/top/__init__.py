"""`python -m cqox.resilience top`: what the policies of an app do, in a terminal, from its Prometheus metrics."""
