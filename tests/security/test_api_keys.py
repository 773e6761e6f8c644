import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.security import ApiKey, digest_of, id_of_request, matches, new_key, parse_key


def test_a_new_key_parses_and_is_no_other():
    made = [new_key() for _ in range(100)]
    assert len({key.text for key in made}) == len({key.key_id for key in made}) == 100
    for key in made:
        assert parse_key(key.text) == key
        assert key.text.startswith(f"cqox_{key.key_id}_")
        assert digest_of(key) == hashlib.sha256(key.text.encode()).digest()


def test_a_key_does_not_show_its_secret_when_it_is_printed():
    key = new_key()
    assert key.text.split("_")[2] not in repr(key)


@given(st.integers(0, 94), st.sampled_from("0123456789abcdefX_ \n"))
def test_a_slip_of_the_hand_is_found(place: int, character: str):
    text = new_key().text
    changed = text[:place] + character + text[place + 1 :]
    assert (parse_key(changed) is None) == (changed != text)


@pytest.mark.parametrize("text", ["", "cqox", "cqox___", "Bearer x", "cqox_" + "0" * 16 + "_" + "0" * 64 + "_00000000"])
def test_what_is_no_key_is_none(text: str):
    assert parse_key(text) is None


def test_line_ends_and_capitals_are_no_part_of_a_key():
    text = new_key().text
    assert parse_key(text + "\n") is None
    assert parse_key(text.upper()) is None


def test_digests_are_compared_whole():
    one, other = digest_of(new_key()), digest_of(new_key())
    assert matches(one, bytes(one))
    assert not matches(one, other)
    assert not matches(one, one[:31])
    assert not matches(one, b"")


def test_a_digest_covers_the_secret_as_well_as_the_id():
    key = new_key()
    assert digest_of(ApiKey(key_id=key.key_id, text=new_key().text)) != digest_of(key)


def test_an_equal_request_asks_for_the_same_id_and_no_other_does() -> None:
    asked = id_of_request("acme", "key:a", "import", "digest")
    assert id_of_request("acme", "key:a", "import", "digest") == asked
    others = {
        id_of_request("other", "key:a", "import", "digest"),
        id_of_request("acme", "key:b", "import", "digest"),
        id_of_request("acme", "key:a", "import2", "digest"),
        id_of_request("acme", "key:a", "import", "other"),
        id_of_request("acmek", "ey:a", "import", "digest"),
    }
    assert len(others | {asked}) == 6
    first, second = new_key(asked), new_key(asked)
    assert (first.key_id, second.key_id) == (asked, asked)
    assert first.text != second.text
    assert parse_key(first.text) == first
