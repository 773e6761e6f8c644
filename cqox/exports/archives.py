"""Office files with the same bytes for the same content: the time in them is given, not that of the clock."""

from datetime import UTC, datetime
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

__all__ = ["EARLIEST", "fixed_archive", "in_archive"]

EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
"""The earliest time that a ZIP archive can hold; it stands for a time that is not known."""


def in_archive(when: datetime | None) -> datetime:
    """Return a time in UTC that an archive can hold."""
    return EARLIEST if when is None else max(when.astimezone(UTC), EARLIEST)


def fixed_archive(content: bytes, when: datetime | None) -> bytes:
    """Return a ZIP archive with the same members in the same order, each of one time."""
    moment = in_archive(when)
    written = BytesIO()
    with ZipFile(BytesIO(content)) as source, ZipFile(written, "w", ZIP_DEFLATED) as target:
        for member in source.infolist():
            entry = ZipInfo(member.filename, moment.timetuple()[:6])
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            entry.create_system = 3
            target.writestr(entry, source.read(member))
    return written.getvalue()
