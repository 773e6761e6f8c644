"""CQOx: causal answers with honest uncertainty, and the resilience library that keeps them coming.

`cqox.resilience` needs anyio alone; the other packages come with the extras `telemetry`, `engine` and `services`.
"""
