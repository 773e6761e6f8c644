from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from zipfile import ZipFile

from cqox.exports.archives import EARLIEST, fixed_archive, in_archive


def archive(**members: bytes) -> bytes:
    written = BytesIO()
    with ZipFile(written, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return written.getvalue()


def test_members_keep_their_order_and_content_and_get_one_time():
    when = datetime(2025, 4, 7, 9, 30, 12, tzinfo=UTC)
    with ZipFile(BytesIO(fixed_archive(archive(b=b"2", a=b"1" * 500), when))) as file:
        assert file.namelist() == ["b", "a"]
        assert (file.read("a"), file.read("b")) == (b"1" * 500, b"2")
        assert {member.date_time for member in file.infolist()} == {(2025, 4, 7, 9, 30, 12)}
        assert file.getinfo("a").compress_size < 500


def test_a_time_that_is_unknown_or_too_early_is_the_earliest():
    assert in_archive(None) == in_archive(datetime(1970, 1, 1, tzinfo=UTC)) == EARLIEST


def test_times_are_those_of_utc():
    tokyo = timezone(timedelta(hours=9))
    assert in_archive(datetime(2025, 4, 7, 9, 0, tzinfo=tokyo)).hour == 0
