"""The error of invalid settings."""

from cqox.errors import CqoxError

__all__ = ["SettingsError"]


class SettingsError(CqoxError):
    """A setting has an invalid value, or a CQOX_… variable is unknown."""
