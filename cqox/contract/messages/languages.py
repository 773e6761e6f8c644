"""Choice of the language of a response (RFC 9110, section 12.5.4)."""

from cqox.contract.messages.catalogs import LANGUAGES, Language

__all__ = ["choose_language"]

_MOST_RANGES = 20


def choose_language(accept_language: str) -> Language:
    """Return the language that an `Accept-Language` header prefers among those with a catalog, else English.

    A range such as `ja-JP` means its language; ranges of weight 0 are refused ones. Malformed ranges are ignored.
    """
    wanted: list[tuple[float, Language]] = []
    for part in accept_language.split(",")[:_MOST_RANGES]:
        tag, *parameters = (word.strip().lower() for word in part.split(";"))
        found = next((language for language in LANGUAGES if tag.partition("-")[0] in (language, "*")), None)
        weight = _weight(parameters)
        if found is not None and weight > 0:
            wanted.append((weight, found))
    return max(wanted, key=lambda each: each[0])[1] if wanted else LANGUAGES[0]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value) if 0 <= float(value) <= 1 else 0.0
            except ValueError:
                return 0.0
    return 1.0
