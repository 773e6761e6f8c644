"""The modules that are made from roles, options and the catalog."""

from tools.keywords import KEYWORDS, METHODS, keywords_module, methods_stub


def test_the_modules_are_what_would_be_written() -> None:
    """Otherwise run `python -m tools.keywords`."""
    assert KEYWORDS.read_text() == keywords_module()
    assert METHODS.read_text() == methods_stub()
