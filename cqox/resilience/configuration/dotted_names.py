"""Objects by dotted names, such as `httpx.TransportError`, and names that are near a misspelt one."""

import builtins
import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType

__all__ = ["near", "or_near", "resolve"]


def near(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most similar to `name`, empty where none is similar."""
    return next(iter(difflib.get_close_matches(name, list(known), 1)), "")


def or_near(name: str, known: Iterable[str]) -> str:
    """Return a question that proposes a similar name, or a list of the known names."""
    names = sorted(known)
    similar = near(name, names)
    return f"did you mean {similar!r}?" if similar else f"there are: {', '.join(names) or 'none'}"


def resolve(name: str) -> object:
    """Import the object of a dotted name; a name without a dot is one of the builtins.

    Raises:
        ValueError: there is no such module or attribute, or importing the module failed.
    """
    module, attributes = _imported(name)
    found: object = module
    for at, attribute in enumerate(attributes):
        if not hasattr(found, attribute):
            inside = ".".join([module.__name__, *attributes[:at]])
            public = [each for each in dir(found) if not each.startswith("_")]
            similar = near(attribute, public)
            proposal = f"; did you mean {similar!r}?" if similar else ""
            raise ValueError(f"{name!r} does not exist: {inside} has no {attribute!r}{proposal}")
        found = getattr(found, attribute)
    return found


def _imported(name: str) -> tuple[ModuleType, list[str]]:
    """Return the innermost module in a dotted name, and the rest of the name."""
    words = name.split(".")
    if not all(word.isidentifier() for word in words):
        raise ValueError(f"{name!r} is no dotted name, such as 'httpx.TransportError'")
    if len(words) == 1:
        return builtins, words
    for length in range(len(words) - 1, 0, -1):
        module = ".".join(words[:length])
        try:
            return importlib.import_module(module), words[length:]
        except ModuleNotFoundError as error:
            # One that the module itself imports is another problem than a name that is an attribute.
            if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
                raise ValueError(f"{name!r} cannot be imported: {error}") from error
        except Exception as error:  # a module runs code of its own
            raise ValueError(f"{name!r} cannot be imported: {type(error).__name__}: {error}") from error
    raise ValueError(f"{name!r} does not exist: there is no module {words[0]!r}")
