import hashlib

import pytest

from services.gateway.entity_tags import named_tag, of_coding, of_digest


def test_the_tag_of_a_body_is_a_part_of_its_digest() -> None:
    digest = hashlib.sha256(b"x")
    assert of_digest(digest.digest()) == f'"{digest.hexdigest()[:32]}"'


def test_another_coding_is_another_strong_tag_and_the_same_weak_one() -> None:
    assert of_coding('"a"', "gzip") == '"a-gzip"'
    assert of_coding('W/"a"', "zstd") == 'W/"a"'


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        ("", None),
        ("*", '"a"'),
        (' "a" ', '"a"'),
        ('"b", W/"a"', 'W/"a"'),
        ('"b","a-zstd" ,"a"', '"a-zstd"'),
        ('"a-br"', None),
        ('"aa"', None),
        ("a", None),
        ('"a', None),
        ('w/"a"', None),
        ('"x"a"', None),
        ('"a"*', None),
    ],
)
def test_a_condition_names_the_content_in_any_coding(condition: str, named: str | None) -> None:
    assert named_tag(condition, '"a"') == named


def test_a_weak_tag_is_named_by_its_strong_form_as_well() -> None:
    assert named_tag('"a"', 'W/"a"') == '"a"'
    assert named_tag('W/"a-en", "b"', 'W/"a-en"') == 'W/"a-en"'
    assert named_tag('W/"a-ja"', 'W/"a-en"') is None
