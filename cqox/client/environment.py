"""Credentials and certificates of a client in the environment."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

if TYPE_CHECKING:
    from cqox.client.access_tokens import Grant

__all__ = [
    "API_KEY_VARIABLE",
    "CA_VARIABLE",
    "CERTIFICATE_VARIABLE",
    "CLIENT_ID_VARIABLE",
    "CLIENT_SECRET_FILE_VARIABLE",
    "CLIENT_SECRET_VARIABLE",
    "ISSUER_VARIABLE",
    "KEY_VARIABLE",
    "TOKEN_FILE_VARIABLE",
    "TOKEN_VARIABLE",
    "context_of",
    "of_environment",
    "read_token",
]

TOKEN_VARIABLE = "CQOX_TOKEN"
"""Environment variable with the bearer token for the server of `CQOX_URL`."""

TOKEN_FILE_VARIABLE = "CQOX_TOKEN_FILE"
"""Environment variable with the path of a file that holds the token, where `TOKEN_VARIABLE` is not set."""

API_KEY_VARIABLE = "CQOX_API_KEY"
"""Environment variable with an API key for that server."""

CLIENT_ID_VARIABLE = "CQOX_CLIENT_ID"
"""Environment variable with the client of this program at the server's OpenID provider."""

CLIENT_SECRET_VARIABLE = "CQOX_CLIENT_SECRET"
"""Environment variable with the secret of that client."""

CLIENT_SECRET_FILE_VARIABLE = "CQOX_CLIENT_SECRET_FILE"
"""Environment variable with the path of a file that holds the secret."""

ISSUER_VARIABLE = "CQOX_ISSUER"
"""Environment variable with the provider; the one that the server names if absent."""

CERTIFICATE_VARIABLE = "CQOX_CLIENT_CERT"
"""Environment variable with the path of a certificate for servers that demand one (PEM, with its chain)."""

KEY_VARIABLE = "CQOX_CLIENT_KEY"
"""Environment variable with the path of its private key; the certificate's file if absent."""

CA_VARIABLE = "CQOX_CA_CERT"
"""Environment variable with the path of the authorities that are trusted in place of the usual ones."""

_MOST_TOKEN_BYTES = 8 * 2**10


def of_environment(environ: Mapping[str, str]) -> "tuple[str | None, Grant | None]":
    """Return the token of the environment, or where access tokens come from by it; neither where it names none.

    Raises:
        InvalidRequest: a file cannot be read, or a secret is missing.
    """
    token = _text(environ, TOKEN_VARIABLE)
    if not token and (file := _text(environ, TOKEN_FILE_VARIABLE)):
        token = read_token(Path(file))
    token = token or _text(environ, API_KEY_VARIABLE)
    client = _text(environ, CLIENT_ID_VARIABLE)
    if token or not client:
        return token or None, None
    from cqox.client.access_tokens import ClientCredentials

    secret = _text(environ, CLIENT_SECRET_VARIABLE)
    if not secret and (file := _text(environ, CLIENT_SECRET_FILE_VARIABLE)):
        secret = read_token(Path(file))
    if not secret:
        raise InvalidRequest(Message("client.no-secret", variable=CLIENT_SECRET_VARIABLE), field="credentials")
    return None, ClientCredentials(client_id=client, client_secret=secret, issuer=_text(environ, ISSUER_VARIABLE))


def context_of(environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """Return the TLS context that the environment asks for; None where it names neither certificate nor authorities.

    Raises:
        InvalidRequest: a file cannot be used.
    """
    certificate, authorities = _text(environ, CERTIFICATE_VARIABLE), _text(environ, CA_VARIABLE)
    if not certificate and not authorities:
        return None
    file = authorities
    try:
        made = ssl.create_default_context(cafile=authorities or None)
        if certificate:
            file = certificate
            made.load_cert_chain(certificate, _text(environ, KEY_VARIABLE) or None, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InvalidRequest(Message("client.certificate-file", file=file, reason=reason), field="tls") from None
    return made


def read_token(file: Path) -> str:
    """Return the token in a file.

    Raises:
        InvalidRequest: it cannot be read, or holds no single line of ASCII text.
    """
    try:
        with file.expanduser().open("rb") as opened:
            text = opened.read(_MOST_TOKEN_BYTES + 1).decode("ascii").strip()
    except (OSError, UnicodeDecodeError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InvalidRequest(Message("client.token-file", file=str(file), reason=reason), field="token") from None
    if not text or not text.isprintable() or len(text) > _MOST_TOKEN_BYTES:
        reason = Message("client.token-file-content")
        raise InvalidRequest(Message("client.token-file", file=str(file), reason=reason), field="token")
    return text


def _text(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()


def _no_password() -> str:
    # OpenSSL would ask the terminal for it.
    raise ValueError("its private key is encrypted")
