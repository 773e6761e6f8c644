"""Say how many things there are, in the number that the noun takes."""

__all__ = ["counted"]


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, such as `1 row` and `2 rows`; the plural must be regular."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
