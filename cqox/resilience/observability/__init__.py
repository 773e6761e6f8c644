"""Definitions and values of the metrics of policies, and the effects of their events; knows no exporter."""
