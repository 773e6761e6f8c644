"""Analysis pipeline: a request becomes a plan, runs in a worker process, and becomes a report."""
