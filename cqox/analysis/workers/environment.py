"""What a worker process gets of the engine's environment: what names places, languages and numeric libraries.

Everything else stays behind. The engine's settings hold passwords and tokens, and a worker reads bytes that strangers
sent.
"""

from collections.abc import Mapping

__all__ = ["worker_environment"]

_NAMES = frozenset({"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "TMPDIR", "TZ", "TZDIR"})
# Of the interpreter, of coverage measurement and of a clock that tests set; of the C library, BLAS and the data frames.
_PREFIXES = (
    "PYTHON", "LC_", "COVERAGE_", "FAKETIME", "FONTCONFIG_", "MALLOC_", "GLIBC_TUNABLES", "OPENBLAS_", "OMP_", "GOMP_",
    "MKL_", "BLIS_", "NPY_", "NUMEXPR_", "POLARS_", "RAYON_", "RUST_", "_RJEM_MALLOC_CONF", "XDG_CACHE_HOME",
)  # fmt: skip


def worker_environment(environ: Mapping[str, str], *, threads: int) -> dict[str, str]:
    """Return the environment of a worker process.

    Args:
        environ: the engine's.
        threads: threads for its row passes and for reading tables.
    """
    kept = {name: value for name, value in environ.items() if name in _NAMES or name.startswith(_PREFIXES)}
    return {
        **kept,
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": str(threads),
        "PYTHONUNBUFFERED": "1",
    }
