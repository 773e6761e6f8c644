"""TLS between the commands and the services of one machine, with the certificates of `CQOX_TLS_DIR`."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from cqox.certificates import CertificatesUnusable, Credentials, Loaded
from services.config.configuration import SettingsError
from services.config.settings import Settings

__all__ = ["LocalTls", "verification_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTls:
    """The addresses and settings of gateway and engine under `cqox up`.

    Attributes:
        scheme: of both services.
        verify: verifies them, for `httpx`.
        settings: further environment variables by service.
    """

    scheme: str = "http"
    verify: ssl.SSLContext | bool = True
    settings: Mapping[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> "LocalTls":
        """Let the engine demand the gateway's identity, and the gateway the engine's.

        Raises:
            SettingsError: the certificates cannot be used, or one has no identity.
        """
        gateway, engine = _loaded(settings, "gateway"), _loaded(settings, "engine")
        if gateway is None or engine is None:
            return cls()
        for service, loaded in (("gateway", gateway), ("engine", engine)):
            if not loaded.identity:
                raise SettingsError(
                    f"CQOX_TLS_DIR: the certificate of the {service} in {loaded.version.folder} has no identity such "
                    f"as spiffe://cqox/{service}, which the other service would verify."
                )
        return cls(
            scheme="https",
            verify=_verification(gateway, engine),
            settings={
                "engine": {"CQOX_TLS_PEERS": gateway.identity},
                "gateway": {"CQOX_TLS_ENGINE": engine.identity},
            },
        )


def verification_of(settings: Settings, service: str) -> ssl.SSLContext | None:
    """Return a context that accepts a service of this machine alone; None where it is http.

    Raises:
        SettingsError: the certificates cannot be used.
    """
    loaded = _loaded(settings, service)
    return None if loaded is None else _verification(loaded, loaded)


def _loaded(settings: Settings, service: str) -> Loaded | None:
    folder = settings.tls_dir_of(service)
    try:
        return None if folder is None else Credentials(folder).current()
    except CertificatesUnusable as error:
        raise SettingsError(f"CQOX_TLS_DIR: {error}.") from None


def _verification(own: Loaded, *shown: Loaded) -> ssl.SSLContext:
    # By the certificates themselves: the address is one of this machine, whatever names they are for.
    context = own.client
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for loaded in (own, *shown):
        context.load_verify_locations(loaded.version.cert)
    return context
