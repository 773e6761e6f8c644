"""The access layer of both services: who a request comes from, and whether it may use the operation."""
