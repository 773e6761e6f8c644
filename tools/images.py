"""Measure and list what the images have on top of their base: `python -m tools.images sizes` or `sbom PROGRAM`.

Docker is not needed: the script that the Dockerfile runs installs into environments in `build/image`, from the same
lock files and folders. A size is that of the files, as a node keeps the layer; what a registry keeps and a node
fetches, compressed by gzip, is printed as well. `sbom` has cyclonedx-py, whose path it is given, write what is
installed to `build/sbom`.
"""

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import venv
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_ENVIRONMENTS = _ROOT / "build" / "image"
_SBOMS = _ROOT / "build" / "sbom"
_INSTALL = _ROOT / "deploy" / "image" / "install.sh"
_COMPILED = "__pycache__"
# As registries and Docker compress layers by default.
_GZIP_LEVEL = 6

LIMITS: Mapping[str, int] = {"gateway": 75_000_000, "engine": 745_000_000}
"""Bytes of the files of the layer above the base, by service; docs/kubernetes.md says what takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The part of an image above its base.

    Attributes:
        service: the target of the Dockerfile.
        files_bytes: sum of the sizes of its files.
        layer_bytes: size of the layer, compressed.
    """

    service: str
    files_bytes: int
    layer_bytes: int

    @property
    def fits(self) -> bool:
        """True where the layer is within its limit."""
        return self.files_bytes <= LIMITS[self.service]

    def __str__(self) -> str:
        limit = LIMITS[self.service]
        return (
            f"{self.service}: {self.files_bytes / 1e6:.1f} MB of at most {limit / 1e6:.0f} MB, "
            f"{self.layer_bytes / 1e6:.1f} MB compressed{'' if self.fits else ': too large'}"
        )


class _Counter:
    """A file that keeps nothing but how much gzip makes of what is written to it."""

    def __init__(self) -> None:
        self._gzip = zlib.compressobj(_GZIP_LEVEL, wbits=31)
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        """Take bytes."""
        self.size_bytes += len(self._gzip.compress(data))
        return len(data)

    def finish(self) -> int:
        """Return the compressed size of everything in bytes."""
        self.size_bytes += len(self._gzip.flush())
        return self.size_bytes


def measure(service: str, folder: Path) -> Layer:
    """Return the sizes of a folder as the layer of a service."""
    counter = _Counter()
    files_bytes = 0
    with tarfile.open(fileobj=counter, mode="w|") as archive:  # type: ignore[call-overload]
        for path in sorted(folder.rglob("*")):
            archive.add(path, arcname=Path("opt/cqox") / path.relative_to(folder), recursive=False)
            files_bytes += path.lstat().st_size if path.is_file() or path.is_symlink() else 0
    return Layer(service=service, files_bytes=files_bytes, layer_bytes=counter.finish())


def steps(service: str) -> list[list[str]]:
    """Return the arguments of each run of the install script in the Dockerfile, for one service."""
    text = (_ROOT / "Dockerfile").read_text(encoding="utf-8")
    stage = re.search(rf"^FROM build AS {service}-build\n(.*?)^FROM ", text, re.DOTALL | re.MULTILINE)
    if stage is None:
        raise ValueError(f"the Dockerfile builds no {service}")
    return [line.split() for line in re.findall(r"install\.sh (.+)$", stage[1], re.MULTILINE)]


def installed(service: str) -> Path:
    """Return the environment of a service, installed again where anything that goes into it has changed."""
    folder, stamp = _ENVIRONMENTS / service, _ENVIRONMENTS / f"{service}.stamp"
    digest = _digest(_inputs(service))
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return folder
    stamp.unlink(missing_ok=True)
    build = _ENVIRONMENTS / f"{service}-build"
    venv.create(build, clear=True, with_pip=True)
    venv.create(folder, clear=True, symlinks=True)
    environment = {**os.environ, "CQOX_BUILD": str(build), "CQOX_TARGET": str(folder), "PIP_NO_CACHE_DIR": "1"}
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_QUIET": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    # Modules are compiled into the image, whose file system is read only.
    for name in ("PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE"):
        environment.pop(name, None)
    for arguments in steps(service):
        subprocess.run(["sh", _INSTALL, *arguments], check=True, cwd=_ROOT, env=environment, stdout=subprocess.DEVNULL)
    stamp.write_text(digest, encoding="utf-8")
    return folder


def _inputs(service: str) -> Iterator[Path]:
    yield from (*_INSTALL.parent.iterdir(), _ROOT / "Dockerfile", _ROOT / "pyproject.toml")
    for arguments in steps(service):
        for name in arguments:
            path = _ROOT / name
            if path.is_file():
                yield path
    for name in ("cqox", "cqox_assets", "services", "packages"):
        yield from (each for each in (_ROOT / name).rglob("*") if each.is_file() and _COMPILED not in each.parts)


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(_ROOT)} {content}\n".encode())
    return digest.hexdigest()


def write_sbom(service: str, program: str) -> Path:
    """Have cyclonedx-py write what the environment of a service has, and return the file."""
    _SBOMS.mkdir(parents=True, exist_ok=True)
    file = _SBOMS / f"cqox-{service}.cdx.json"
    python = installed(service) / "bin" / "python"
    command = [
        program,
        "environment",
        "--output-reproducible",
        "--output-format",
        "JSON",
        "--output-file",
        file,
        python,
    ]
    subprocess.run(command, check=True)
    return file


def main(arguments: list[str]) -> int:
    """Print sizes or the files written; return 1 where a layer is too large."""
    match arguments:
        case ["sizes"]:
            layers = [measure(service, installed(service)) for service in LIMITS]
            print("\n".join(map(str, layers)))
            return 0 if all(layer.fits for layer in layers) else 1
        case ["sbom", program]:
            for service in LIMITS:
                print(write_sbom(service, program).relative_to(_ROOT))
            return 0
    sys.stderr.write(f"{__doc__}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
