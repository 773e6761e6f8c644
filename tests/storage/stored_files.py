"""Data sets that a store of files keeps, and the files that it has."""

from pathlib import Path

from cqox.storage import FileStore
from tests.storage.records import a_dataset

__all__ = ["everything", "kept"]


async def kept(files: FileStore, name: str, content: bytes = b"table", *, replace: bool = False) -> None:
    folder = files.incoming()
    (folder / "table.parquet").write_bytes(content)
    await files.keep(folder, a_dataset(name), replace=replace)


def everything(root: Path) -> list[str]:
    names = (str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    return sorted(name for name in names if not name.startswith(("engines/", "ballast")))
