"""Makes the password of PostgreSQL once, for the server and for its clients: `make_password.py DIRECTORY`.

`POSTGRES_PASSWORD` in the environment is taken instead of a new one. A password that is there already is never changed:
the database was made with it.
"""

import os
import secrets
import sys
from pathlib import Path

folder = Path(sys.argv[1])
password, clients = folder / "postgres-password", folder / "pgpass"


def written(path: Path, text: str, mode: int) -> None:
    aside = path.with_suffix(".new")
    aside.touch(mode=0o600)
    aside.write_text(text)
    aside.chmod(mode)
    aside.replace(path)


if not password.exists():
    # The server reads it under another user than this one; nobody else has the volume.
    written(password, os.environ.get("POSTGRES_PASSWORD") or secrets.token_urlsafe(32), 0o444)
    sys.stdout.write("The password of PostgreSQL was made.\n")
chosen = os.environ.get("POSTGRES_PASSWORD")
if chosen and chosen != password.read_text():
    sys.exit("POSTGRES_PASSWORD differs from the one that the database was made with: see docs/deploying.md.")
escaped = password.read_text().replace("\\", r"\\").replace(":", r"\:")
written(clients, f"*:*:*:*:{escaped}\n", 0o400)
