import pytest

from cqox.errors import LimitExceeded, UploadConflict
from cqox.storage.partial_upload import UPLOAD_ID, PartialUpload, check_complete, check_offset, check_size, unknown


def an_upload(offset: int) -> PartialUpload:
    return PartialUpload(upload_id="0" * 32, name="a", size_bytes=4, fingerprint=None, offset=offset, used_at=0.0)


def test_a_piece_begins_where_the_last_one_has_ended() -> None:
    check_offset(an_upload(2), 2)
    with pytest.raises(UploadConflict) as caught:
        check_offset(an_upload(2), 3)
    assert caught.value.offset == 2


def test_only_an_upload_with_all_of_its_bytes_is_complete() -> None:
    check_complete(an_upload(4))
    with pytest.raises(UploadConflict):
        check_complete(an_upload(3))


def test_an_upload_has_no_more_bytes_than_its_client_said() -> None:
    check_size(an_upload(0), 4)
    with pytest.raises(LimitExceeded):
        check_size(an_upload(0), 5)


@pytest.mark.parametrize("name", ["", "a" * 31, "a" * 33, "A" * 32, "../" + "a" * 29])
def test_nothing_else_is_the_id_of_an_upload(name: str) -> None:
    assert UPLOAD_ID.fullmatch("0" * 32)
    assert not UPLOAD_ID.fullmatch(name)


def test_the_error_of_an_unknown_upload_names_the_beginning_of_its_id() -> None:
    assert "x" * 100 in str(unknown("x" * 1000))
    assert "x" * 101 not in str(unknown("x" * 1000))
