"""Causal answers from Python: data frames in, reports out.

`cqox` exports the public names, each from its module here. Reports and keyword arguments are shared with `cqox.client`
and load nothing of an engine.
"""
