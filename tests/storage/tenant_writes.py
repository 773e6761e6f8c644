"""Data sets and uploads that a tenant stores."""

from hashlib import blake2b
from pathlib import Path

from cqox.storage import Original, TenantFiles
from tests.storage.records import a_dataset

__all__ = ["kept", "read", "send", "uploaded"]


async def kept(files: TenantFiles, name: str, content: bytes = b"table", *, replace: bool = False) -> None:
    folder = files.incoming()
    (folder / "table.parquet").write_bytes(content)
    (folder / "table.parquet.keys").write_bytes(b"keys of the rows")
    await files.keep(folder, a_dataset(name), replace=replace)


async def read(files: TenantFiles, name: str) -> bytes:
    async with files.reading(name) as table:
        assert sorted(path.name for path in table.path.parent.glob("table*")) == ["table.parquet", "table.parquet.keys"]
        return table.path.read_bytes()


def uploaded(files: TenantFiles, content: bytes) -> tuple[Path, Original]:
    path = files.scratch / f"upload-{len(content)}-{content[:1].hex()}"
    writer = files.upload_writer(path.open("wb"))
    writer.write(content)
    writer.close()
    digest = blake2b(content, digest_size=16).hexdigest()
    about = {"name": "a.csv", "encoding": "utf-8", "options": {"sheet": None}}
    return path, Original(digest=digest, size_bytes=len(content), **about)


def send(files: TenantFiles, upload_id: str, offset: int, data: bytes) -> int:
    piece = files.partial.open_piece(upload_id, offset)
    try:
        piece.write(data)
        return piece.commit()
    finally:
        piece.close()
