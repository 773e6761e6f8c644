"""A request before it is answered: its head, target, host, origin and body, read with bounds."""
