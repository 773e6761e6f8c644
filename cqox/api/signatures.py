"""Signatures with every keyword, for the help and the completion of notebooks."""

import inspect
from collections.abc import Callable

__all__ = ["with_keywords"]


def with_keywords[**P, T](function: Callable[P, T], keywords: type) -> Callable[P, T]:
    """Put the keys of a typed dictionary in the place of `**keywords` in a function's signature.

    Args:
        function: takes `**keywords`.
        keywords: the typed dictionary; its annotations stay text, so that nothing is evaluated.
    """
    signature = inspect.signature(function)
    own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    forms: dict[str, object] = {}
    for base in (*getattr(keywords, "__orig_bases__", ()), keywords):
        if isinstance(base, type):
            forms |= inspect.get_annotations(base)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=form)
        for name, form in forms.items()
        if name not in signature.parameters
    ]
    function.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    return function
