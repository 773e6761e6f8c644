"""Makes and renews the certificates of the stack: `make_certificates.py DIRECTORY`.

DIRECTORY/all holds the authority and every part, and is for this program alone; DIRECTORY/<part> is what a container
gets. The servers of the stores run under other users, which have to own their keys: they get readable copies in volumes
that no other container has, and make files of their own of them.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from cqox.certificates import current_version, publish
from cqox.certificates.authority import DEFAULT_NAMES, Authority, AuthorityExists

DAYS = 365.0
SERVICES, STORES = ("gateway", "engine"), ("postgres", "redis")

folder = Path(sys.argv[1])
try:
    authority = Authority.create(folder / "all")
except AuthorityExists:
    authority = Authority(folder / "all")
hosts = [host.strip() for host in os.environ.get("CQOX_ALLOWED_HOSTS", "").split(",")]
names = (*DEFAULT_NAMES, *(host for host in hosts if host.strip("*.")))

for part in SERVICES + STORES:
    issued = authority.show(part) if part in authority.parts else None
    if (
        issued is None
        or issued.not_after - datetime.now(UTC) < (issued.not_after - issued.not_before) / 2
        or set(names) - set(issued.names)
    ):
        issued = authority.issue(part, days=DAYS, names=(f"cqox-{part}", *names))
        sys.stdout.write(f"{part}: a new certificate until {issued.not_after:%Y-%m-%d}\n")
    version = current_version(folder / "all" / part)
    files = [version.cert, version.key, version.ca]
    if part in SERVICES:
        cert, key, ca = (path.read_bytes() for path in files)
        publish(folder / part, cert=cert, key=key, ca=ca)
        continue
    for path in files:
        aside = folder / part / f".{path.name}"
        aside.write_bytes(path.read_bytes())
        aside.chmod(0o444)
        aside.replace(folder / part / path.name)
