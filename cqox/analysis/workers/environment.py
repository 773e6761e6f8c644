"""Environment of a worker process: only variables of paths, locales and numeric libraries.

The engine's settings contain passwords and tokens, and a worker reads untrusted data.
"""

from collections.abc import Mapping

__all__ = ["template_environment", "worker_environment"]

_NAMES = frozenset({"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "TMPDIR", "TZ", "TZDIR"})
# Of the interpreter, coverage measurement and a test clock; of the C library, BLAS and polars.
_PREFIXES = (
    "PYTHON", "LC_", "COVERAGE_", "FAKETIME", "FONTCONFIG_", "MALLOC_", "GLIBC_TUNABLES", "OPENBLAS_", "OMP_", "GOMP_",
    "MKL_", "BLIS_", "NPY_", "NUMEXPR_", "POLARS_", "RAYON_", "RUST_", "_RJEM_MALLOC_CONF", "XDG_CACHE_HOME",
)  # fmt: skip


def worker_environment(environ: Mapping[str, str], *, threads: int) -> dict[str, str]:
    """Return the environment of a worker process.

    Args:
        environ: environment of the engine.
        threads: threads for row passes and for reading tables.
    """
    kept = {name: value for name, value in environ.items() if name in _NAMES or name.startswith(_PREFIXES)}
    return {
        # The limit of memory counts address space, which the allocator of polars would keep after it has freed it.
        "_RJEM_MALLOC_CONF": "retain:false",
        **kept,
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": str(threads),
        "PYTHONUNBUFFERED": "1",
    }


def template_environment(environ: Mapping[str, str], *, threads: int) -> dict[str, str]:
    """Return the environment of a process that forks workers, which is that of the workers too.

    Args:
        environ: environment of the engine.
        threads: threads of one worker for row passes and for reading tables.
    """
    found = worker_environment(environ, threads=threads)
    # A fork leaves the threads of the allocator behind, which return free memory. Without them it does so itself for
    # pieces of this size at once, and for smaller ones as it goes. What the engine's environment says of that wins.
    given = found["_RJEM_MALLOC_CONF"]
    found["_RJEM_MALLOC_CONF"] = f"oversize_threshold:1048576,{given},background_thread:false"
    return found
