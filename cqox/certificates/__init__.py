"""Certificates of a part of the system: a folder of versions, SSL contexts that follow it, and a local authority."""

from cqox.certificates.credentials import Credentials, Loaded, date
from cqox.certificates.folder import CertificatesUnusable, Version, current_version, publish
from cqox.certificates.identity import identity_of, is_identity

__all__ = [
    "CertificatesUnusable",
    "Credentials",
    "Loaded",
    "Version",
    "current_version",
    "date",
    "identity_of",
    "is_identity",
    "publish",
]
