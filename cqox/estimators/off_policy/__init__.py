"""Off-policy evaluation of a logged policy."""
