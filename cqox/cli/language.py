"""The flag `--lang`, and the language without it."""

import os
import re
from typing import Annotated, Literal

import typer

from cqox.contract.messages import LANGUAGES, Language

__all__ = ["LanguageOption", "language_of_locale"]

_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
_END_OF_CODE = re.compile(r"[_.@-]")


def language_of_locale() -> Language:
    """Return the language of the user's locale, which is the first variable that is set; English for any other."""
    locale = next((given for name in _VARIABLES if (given := os.environ.get(name, ""))), "")
    code = _END_OF_CODE.split(locale)[0].lower()
    return next((each for each in LANGUAGES if each == code), LANGUAGES[0])


LanguageOption = Annotated[
    Literal["en", "ja"],
    typer.Option(
        "--lang", default_factory=language_of_locale, show_default="that of LANG", help="Language of the sentences."
    ),
]
