"""Values of environment variables that the command line and the services read alike."""

import re
from collections.abc import Mapping
from pathlib import Path

__all__ = ["data_home", "parse_size"]

_MOST_BYTES = 2**63
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*(?:([KMGT])(i?)B?|B)?$", re.IGNORECASE)
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


def data_home(environ: Mapping[str, str]) -> Path:
    """Return the default data directory by the XDG base directory specification."""
    home = environ.get("XDG_DATA_HOME", "")
    return (Path(home) if home.startswith("/") else Path("~/.local/share").expanduser()) / "cqox"


def parse_size(text: str) -> int | None:
    """Return a size such as `4 GiB`, `500MB` or `1024` in bytes; None where the text is none."""
    match = _SIZE.match(text)
    if match is None:
        return None
    number, letter, binary = match.groups()
    scale = (1024 if binary else 1000) ** _POWERS[letter.upper()] if letter else 1
    size = float(number) * scale
    return int(size) if size < _MOST_BYTES else None
