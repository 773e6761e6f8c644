import pytest

from cqox.contract.messages import choose_language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ja", "ja"),
        ("JA-jp, en;q=0.5", "ja"),
        ("en, ja;q=0.9", "en"),
        ("en;q=0.2, ja;q=0.9", "ja"),
        ("fr, ja;q=0.1", "ja"),
        ("ja;q=0", "en"),
        ("ja;q=2", "en"),
        ("ja;q=x", "en"),
        ("fr", "en"),
        ("*", "en"),
        (";;;,q=1,,", "en"),
        ("x," * 10_000 + "ja", "en"),
    ],
)
def test_the_preferred_language_with_a_catalog_is_chosen(header: str, language: str) -> None:
    assert choose_language(header) == language
