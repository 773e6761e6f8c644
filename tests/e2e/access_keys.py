"""Services that ask for keys, and keys for them."""

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.stack import Stack

__all__ = ["ASKED", "HOP_KEY", "TABLE", "bearer", "make_key"]


ASKED = {
    "dataset_id": "test",
    "mapping": {"y": "y", "treatment": "w"},
    "options": {"estimators": ["difference_in_means"]},
}
HOP_KEY = "a-secret-of-the-two-services-of-this-test"
TABLE = b"y,w\n" + b"".join(b"%d,%d\n" % (number % 7, number % 2) for number in range(60))


def make_key(stack: Stack, *arguments: str) -> str:
    """Make a key on the command line, as an operator does."""
    environment = {**os.environ, "CQOX_DATA_DIR": stack.engine.environment["CQOX_DATA_DIR"], "CQOX_AUTH": "keys"}
    command = [Path(sys.executable).with_name("cqox"), "keys", "create", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
