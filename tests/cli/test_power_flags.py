"""Flags of `cqox power`, which are made without its numerics."""

import subprocess
import sys

from cqox.cli.power_flags import NUMBERS, power_flags
from tests.waiting import PATIENCE_SECONDS


def test_help_loads_no_numerics():
    code = (
        "import sys; import cqox.cli.app; sys.exit(any(each in sys.modules for each in ('numpy', 'polars', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=PATIENCE_SECONDS, check=False).returncode == 0


def test_every_number_has_a_type_and_a_sentence():
    flags = {each.name for each in power_flags()}
    assert set(NUMBERS) <= flags
    assert all(help.endswith((".", ")")) or ":" in help for _, help in NUMBERS.values())
