"""A local certificate authority in a folder, for installations without one of their own. Needs `cryptography`.

    DIR/authority/a-<time>/{cert.pem,key.pem}    each authority that is still accepted
    DIR/authority/signing -> a-<time>            the one that issues
    DIR/<part>/current -> v-<time>/              certificate, key and accepted authorities of each part

Keys are P-256 and accessible to this user only. An authority is replaced in three steps, each of which leaves every
part able to talk to every other: accept the new one, issue by the new one, and no longer accept the old one.
"""

import ipaddress
import os
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cqox.certificates.folder import CERT, CURRENT, KEY, CertificatesUnusable, publish
from cqox.file_sync import sync

__all__ = [
    "AUTHORITY",
    "DEFAULT_NAMES",
    "Authority",
    "AuthorityExists",
    "AuthorityMissing",
    "InvalidPart",
    "Issued",
    "Step",
    "is_part",
]

AUTHORITY = "authority"
"""The folder of the authorities; no part may have this name."""

DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")
"""Names and addresses in every certificate besides the name of its part."""

_SIGNING = "signing"
_PART = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_AUTHORITY_DAYS = 3650.0
_SKEW = timedelta(minutes=5)
"""Tolerance for clocks that are behind that of this machine."""


class AuthorityExists(CertificatesUnusable):
    """A folder has an authority already."""


class AuthorityMissing(CertificatesUnusable):
    """A folder has no authority."""


class InvalidPart(CertificatesUnusable):
    """A part cannot have this name: it is a folder and a host name."""


class Step(StrEnum):
    """A step in the replacement of an authority."""

    ACCEPT = "accept"
    ISSUE = "issue"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """The certificate of a part.

    Attributes:
        part: name of its folder.
        identity: its SPIFFE id.
        names: host names and addresses for which it is valid.
        not_before: start of its validity.
        not_after: end of its validity.
        authority: name of the authority that issued it; empty where that is no longer accepted.
    """

    part: str
    identity: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    authority: str


class Authority:
    """The authorities and parts in a folder.

    Args:
        folder: see the module.

    Raises:
        AuthorityMissing: there is no authority in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / AUTHORITY / _SIGNING / KEY).exists():
            raise AuthorityMissing(f"there is no authority in {folder}")

    @classmethod
    def create(cls, folder: Path) -> "Authority":
        """Create the first authority of a folder.

        Raises:
            AuthorityExists: the folder has one already.
            OSError: the folder cannot be written to.
        """
        if any((folder / AUTHORITY).glob("*")):
            raise AuthorityExists(f"{folder} has an authority already")
        folder.mkdir(0o700, parents=True, exist_ok=True)
        sync(folder.parent)
        _point(folder / AUTHORITY, _make_authority(folder / AUTHORITY))
        return cls(folder)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that have a certificate, sorted."""
        found = sorted(path.parent.name for path in self.folder.glob(f"*/{CURRENT}"))
        return tuple(name for name in found if name != AUTHORITY)

    @property
    def signing(self) -> str:
        """Name of the authority that issues."""
        return os.readlink(self.folder / AUTHORITY / _SIGNING)

    @property
    def accepted(self) -> tuple[str, ...]:
        """Names of the accepted authorities, oldest first."""
        return tuple(sorted(path.name for path in (self.folder / AUTHORITY).glob("a-*")))

    def issue(
        self,
        part: str,
        *,
        days: float,
        names: Sequence[str] = DEFAULT_NAMES,
        identity: str | None = None,
        begin: datetime | None = None,
    ) -> Issued:
        """Issue a certificate for a part and make it the current one.

        Args:
            part: name of its folder, and the first host name.
            days: days of its validity.
            names: further host names and IP addresses.
            identity: SPIFFE id; `spiffe://cqox/<part>` if None.
            begin: start of its validity; a few minutes ago if None, for clocks that are behind.

        Raises:
            InvalidPart: the part cannot have this name.
        """
        if not is_part(part):
            raise InvalidPart(part)
        key = ec.generate_private_key(ec.SECP256R1())
        signer_key, signer = self._signer()
        life = timedelta(days=days)
        begin = begin or datetime.now(UTC) - min(_SKEW, life / 4)
        end = min(begin + life, signer.not_valid_after_utc)
        alternatives: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(identity or f"spiffe://cqox/{part}"),
            *map(_general_name, dict.fromkeys((part, *names))),
        ]
        builder = _builder(_name(part), signer.subject, key, begin, end)
        for extension, critical in (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(authority=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (x509.SubjectAlternativeName(alternatives), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()), False),
        ):
            builder = builder.add_extension(extension, critical=critical)
        self._publish(part, _pem(builder.sign(signer_key, hashes.SHA256())), _key_pem(key))
        return self.show(part)

    def renew(self, part: str, *, days: float | None = None) -> Issued:
        """Issue a certificate like the current one of a part, with another key.

        Args:
            part: a part that has one.
            days: days of its validity; as many as the current one has if None.
        """
        before = self.show(part)
        life = (before.not_after - before.not_before) / timedelta(days=1)
        return self.issue(part, days=days or life, names=before.names, identity=before.identity)

    def show(self, part: str) -> Issued:
        """Return the current certificate of a part.

        Raises:
            CertificatesUnusable: it cannot be read.
        """
        try:
            certificate = x509.load_pem_x509_certificate((self.folder / part / CURRENT / CERT).read_bytes())
            found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, x509.ExtensionNotFound) as error:
            raise CertificatesUnusable(f"the certificate of {part} cannot be read: {error}") from None
        addresses = map(str, found.get_values_for_type(x509.IPAddress))
        identities = found.get_values_for_type(x509.UniformResourceIdentifier)
        return Issued(
            part=part,
            identity=identities[0] if identities else "",
            names=(*found.get_values_for_type(x509.DNSName), *addresses),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            authority=self._issuer_of(certificate),
        )

    def replace(self) -> Step:
        """Take the next step in the replacement of the authority, for every part, and return which it was.

        The steps are in `Step`. Each may be taken once every part has loaded what the one before has written.
        """
        if len(self.accepted) == 1:
            _make_authority(self.folder / AUTHORITY)
            step = Step.ACCEPT
        elif self.signing != self.accepted[-1] or any(self.show(part).authority != self.signing for part in self.parts):
            _point(self.folder / AUTHORITY, self.accepted[-1])
            for part in self.parts:
                self.renew(part)
            return Step.ISSUE
        else:
            for name in self.accepted[:-1]:
                shutil.rmtree(self.folder / AUTHORITY / name)
            step = Step.RETIRE
        for part in self.parts:
            current = self.folder / part / CURRENT
            self._publish(part, (current / CERT).read_bytes(), (current / KEY).read_bytes())
        return step

    def _publish(self, part: str, cert: bytes, key: bytes) -> None:
        accepted = [(self.folder / AUTHORITY / name / CERT).read_bytes() for name in self.accepted]
        publish(self.folder / part, cert=cert, key=key, ca=b"".join(accepted))

    def _signer(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        folder = self.folder / AUTHORITY / _SIGNING
        key = serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key, x509.load_pem_x509_certificate((folder / CERT).read_bytes())

    def _issuer_of(self, certificate: x509.Certificate) -> str:
        for name in self.accepted:
            issuer = x509.load_pem_x509_certificate((self.folder / AUTHORITY / name / CERT).read_bytes())
            if issuer.subject == certificate.issuer:
                return name
        return ""


def is_part(name: str) -> bool:
    """Return whether a part may have this name, which is a folder and a host name."""
    return name != AUTHORITY and _PART.fullmatch(name) is not None


def _make_authority(folder: Path) -> str:
    name = f"a-{time.time_ns():016x}"
    key = ec.generate_private_key(ec.SECP256R1())
    # Another subject for each: a verifier finds the issuer by it.
    subject = _name(f"CQOx authority {secrets.token_hex(4)}")
    now = datetime.now(UTC)
    builder = _builder(subject, subject, key, now - _SKEW, now + timedelta(days=_AUTHORITY_DAYS))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    _write_authority(folder / name, _pem(builder.sign(key, hashes.SHA256())), _key_pem(key))
    return name


def _write_authority(folder: Path, cert: bytes, key: bytes) -> None:
    """Write an authority's certificate and key; the folder appears with both or not at all."""
    aside = folder.with_name(f".{folder.name}")
    aside.mkdir(0o700, parents=True)
    for parent in (folder.parent.parent, folder.parent):
        os.chmod(parent, 0o700)
    for name, content in ((CERT, cert), (KEY, key)):
        with open(aside / name, "wb", opener=lambda path, flags: os.open(path, flags | os.O_CLOEXEC, 0o600)) as file:
            file.write(content)
        sync(aside / name)
    sync(aside)
    os.rename(aside, folder)
    # What it has issued is of no use without its key.
    for parent in (folder.parent, folder.parent.parent):
        sync(parent)


def _point(folder: Path, name: str) -> None:
    link = folder / f".{_SIGNING}"
    link.unlink(missing_ok=True)
    link.symlink_to(name)
    os.replace(link, folder / _SIGNING)
    sync(folder)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
