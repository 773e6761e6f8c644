"""Settings of the whole suite."""

from hypothesis import settings

# A deadline of an example would time the machine: the suite must pass on a busy one.
settings.register_profile("cqox", deadline=None)
settings.load_profile("cqox")
