"""Take out of an environment what its service does not need: `slim.py gateway|engine SITE_PACKAGES`.

Everything was compared with its hash before; what is left works as before, but for two things: a crash within a library
has no names of its functions, and packages cannot run their own tests.
"""

import shutil
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

_FOR_COMPILERS = frozenset({".pyi", ".pxd", ".pyx", ".h", ".hpp", ".c", ".a"})
_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_ELF64_LITTLE = b"\x7fELF\x02\x01"
_NO_BITS, _IN_MEMORY = 8, 2
_WORTH_BYTES = 4096

UNUSED: Mapping[str, tuple[str, ...]] = {
    "gateway": (
        # Of cqox and its services, what is for the engine. What computes is in `cqox-analysis`, which is not installed.
        "cqox/chaos",
        "services/engine",
        "services/simulation",
        # Of the resilience library, what is for apps of others.
        "cqox/resilience/adapters",
        # It was needed to build; of the engine's packages some import it.
        "packaging",
        "packaging-*.dist-info",
        # Types of Google's own APIs; OTLP has `google.rpc.status` alone.
        "google/api",
        "google/cloud",
        "google/gapic",
        "google/logging",
        "google/longrunning",
        "google/type",
    ),
    "engine": (
        # The variant of the binding for PyPy.
        "zstandard/_cffi.*.so",
        # Of pyiceberg, the client of a catalog that nobody asks here.
        "hive_metastore",
        "fb303",
    ),
}
"""Patterns of what a service does not import, in site-packages."""

UNUSED_EVERYWHERE = (
    # Version 1 of the API in version 2.
    "pydantic/v1",
    # The variant of the binding for PyPy, and archives, which nobody compresses here.
    "backports/zstd/_cffi",
    "backports/zstd/tarfile.py",
    "backports/zstd/zipfile",
    # A compiler of bindings; cryptography has the compiled ones, `_cffi_backend`.
    "cffi",
    "pycparser",
)

LEXERS = frozenset({"__init__", "_mapping", "python"})
"""Of the languages that Pygments knows, those of a traceback in a terminal."""


def unused(service: str, site: Path) -> Iterator[Path]:
    """Yield files and folders of site-packages that the service does not import."""
    for pattern in (*UNUSED[service], *UNUSED_EVERYWHERE):
        yield from site.glob(pattern)
    yield from (file for file in site.glob("pygments/lexers/*.py") if file.stem not in LEXERS)
    yield from (folder for name in ("tests", "_tests") for folder in site.rglob(name) if folder.is_dir())
    yield from (file for file in site.rglob("*") if file.suffix in _FOR_COMPILERS)


def remove(path: Path) -> None:
    """Remove a file or a folder that may be gone with another one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def without_symbols(library: bytes) -> bytes:
    """Return a shared library without what is never loaded: debug information, symbols for debuggers, section headers.

    The loader goes by segments, so that the file may end with the last one. A file that is no 64-bit ELF, or with
    something behind its sections, is returned as it is.
    """
    if not library.startswith(_ELF64_LITTLE):
        return library
    header = list(_ELF_HEADER.unpack_from(library))
    segments_at, sections_at, segment_bytes, segments, section_bytes, sections = (*header[5:7], *header[9:13])
    end = 0
    for number in range(segments):
        _, _, offset, _, _, size, _, _ = _SEGMENT.unpack_from(library, segments_at + number * segment_bytes)
        end = max(end, offset + size)
    known = max(end, sections_at + sections * section_bytes)
    for number in range(sections):
        _, kind, flags, _, offset, size, *_ = _SECTION.unpack_from(library, sections_at + number * section_bytes)
        if kind == _NO_BITS:
            continue
        known = max(known, offset + size)
        if flags & _IN_MEMORY and offset + size > end:
            return library
    if known != len(library) or len(library) - end < _WORTH_BYTES:
        return library
    header[6] = header[12] = header[13] = 0
    return _ELF_HEADER.pack(*header) + library[_ELF_HEADER.size : end]


def strip(file: Path) -> None:
    """Replace a shared library by one without symbols, if that makes it smaller."""
    before = file.read_bytes()
    after = without_symbols(before)
    if len(after) < len(before):
        aside = file.with_name(f".{file.name}")
        aside.write_bytes(after)
        aside.chmod(file.stat().st_mode)
        aside.replace(file)


def slim(service: str, site: Path) -> None:
    """Take out of site-packages what the service does not need."""
    for path in list(unused(service, site)):
        remove(path)
    for file in site.rglob("*.so*"):
        if file.is_file() and not file.is_symlink():
            strip(file)


if __name__ == "__main__":
    slim(sys.argv[1], Path(sys.argv[2]))
