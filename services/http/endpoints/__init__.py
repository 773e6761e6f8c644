"""Endpoints of every service: health, metrics, documentation and administration."""
