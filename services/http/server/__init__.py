"""Connections, their bounds, and the app that answers their requests, from the first connection to the drain."""
