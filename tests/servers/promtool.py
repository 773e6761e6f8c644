"""Path of `promtool`: named by the environment, on PATH, or where `promtool.sh` puts it."""

import os
import shutil
import sys
from pathlib import Path

import pytest


def promtool() -> str:
    """Its path; a test that needs it is not run where there is none, and says so."""
    built = str(Path(sys.prefix) / "bin")
    found = os.environ.get("PROMTOOL") or shutil.which("promtool") or shutil.which("promtool", path=built)
    if found is None:
        pytest.skip("NOT RUN: there is no promtool; `make test` gets one, and so does tests/servers/promtool.sh")
    return found
