"""Failures of a vault. Their messages hold no secret: neither a token nor what a request or an answer carried."""

from cqox.errors import ServiceError

__all__ = ["VaultError", "VaultMisused", "VaultRefused", "VaultRejected", "VaultUnavailable"]


class VaultError(ServiceError):
    """The vault did not do what it was asked for."""


class VaultUnavailable(VaultError):
    """The vault does not answer, is sealed, or cannot do it now.

    Attributes:
        is_outage: whether other requests fail as well.
        is_silent: whether it took the request and has not answered, so that it may have done it.
    """

    def __init__(self, reason: str, *, is_outage: bool = True, is_silent: bool = False) -> None:
        super().__init__(reason)
        self.is_outage = is_outage
        self.is_silent = is_silent


class VaultRefused(VaultError):
    """The login was refused, or the policies of the login do not allow the request."""


class VaultRejected(VaultError):
    """The vault cannot carry out the request as it is.

    Attributes:
        status: HTTP status of the answer; 404 where nothing is at the path.
        errors: what the vault says, one sentence each.
    """

    def __init__(self, path: str, status: int, errors: tuple[str, ...]) -> None:
        super().__init__(f"{path}: {'; '.join(errors) or 'there is nothing at this path'}")
        self.status = status
        self.errors = errors


class VaultMisused(VaultError):
    """The address, the role file or the certificates of the vault cannot be used."""
