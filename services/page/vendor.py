"""Files of the page that others wrote: their versions, licences and digests.

`preact.js`, `hooks.js` and `htm.js` are the modules of the packages on npm without their source maps; `hooks.js`
imports `./preact.js` instead of the bare name, which a browser cannot resolve. `vega.js` is the bundle of Vega,
Vega-Lite and Vega-Embed that `vl_convert.javascript_bundle()` returns: the same versions draw the server's figures.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

__all__ = ["FOLDER", "VENDORED", "Vendored"]

FOLDER = Path(__file__).parent / "static" / "vendor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendored:
    """A file of a package.

    Attributes:
        name: its name in the folder.
        package: packages and versions.
        licence: SPDX expression.
        notice: the file with the licence.
        digest: SHA-256 of the file, hexadecimal.
    """

    name: str
    package: str
    licence: str
    notice: str
    digest: str

    @property
    def is_unchanged(self) -> bool:
        """The file has the digest."""
        return sha256((FOLDER / self.name).read_bytes()).hexdigest() == self.digest


VENDORED = (
    Vendored(
        name="preact.js",
        package="preact 10.29.8",
        licence="MIT",
        notice="LICENSE-preact.txt",
        digest="25a5df7e9f628a587743c4641a368737a3b218f28ef738ba0376a2d5bdfc948c",
    ),
    Vendored(
        name="hooks.js",
        package="preact 10.29.8 (hooks)",
        licence="MIT",
        notice="LICENSE-preact.txt",
        digest="3b5febe57b6eebec5285fc25b33c9019e53e31641df0fad7d8f9e64ca8661592",
    ),
    Vendored(
        name="htm.js",
        package="htm 3.1.1",
        licence="Apache-2.0",
        notice="LICENSE-htm.txt",
        digest="ab33dd3f38059b9be4d5f5350128eefb2356639c4e0bbe9d9e8b3ba75847e9e4",
    ),
    Vendored(
        name="vega.js",
        package="vega 6.4.0, vega-lite 6.4.3, vega-embed 7.2.0",
        licence="BSD-3-Clause AND ISC AND MIT",
        notice="LICENSES-vega.txt",
        digest="080d974be0015bdfd95f7cd5fc9277bba286e7febd2c25913798cd7271770556",
    ),
)
