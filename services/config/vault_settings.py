"""Settings of the vault: its address, the login of a service, and what a service takes from it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from services.config.about import About
from services.config.network import NetworkSettings

__all__ = ["VaultSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings(NetworkSettings):
    """The part of the settings that is about a vault."""

    vault_addr: Annotated[
        str,
        About(
            "CQOX_VAULT_ADDR",
            "Address of an OpenBao server, such as https://vault.example.com:8200; http on this machine only.",
            shown="none",
        ),
    ] = ""
    vault_role_file: Annotated[
        Path,
        About(
            "CQOX_VAULT_ROLE_FILE",
            "File with the login of the service, which only its user can read: JSON with role_id and secret_id, or "
            "with role and jwt_file; {service} stands for gateway or engine.",
            shown="none",
        ),
    ] = Path()
    vault_ca_file: Annotated[
        Path,
        About(
            "CQOX_VAULT_CA_FILE",
            "Authorities of the certificate of the vault, in PEM.",
            shown="those in CQOX_TLS_DIR, or the public ones",
        ),
    ] = Path()
    vault_namespace: Annotated[str, About("CQOX_VAULT_NAMESPACE", "Namespace in the vault.", shown="none")] = ""
    vault_database_role: Annotated[
        str,
        About(
            "CQOX_VAULT_DATABASE_ROLE",
            "Role of the database engine of the vault, such as cqox or database/cqox: it gives the engine short-lived "
            "users of PostgreSQL, and POSTGRES_URL names none.",
            services=("engine", "up"),
            shown="none",
        ),
    ] = ""
    vault_pki_role: Annotated[
        str,
        About(
            "CQOX_VAULT_PKI_ROLE",
            "Role of the PKI engine of the vault, such as cqox-{service} or pki/cqox-{service}, with {service} for "
            "gateway or engine: it issues the certificates in CQOX_TLS_DIR, which the service renews.",
            shown="none",
        ),
    ] = ""
