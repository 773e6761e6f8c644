"""Parts of experiments for Chaos Toolkit: a system that an experiment has started, and commands that ask and break it.

Nothing is imported here: `control.py` runs in the process of Chaos Toolkit, which has the standard library alone.
"""
