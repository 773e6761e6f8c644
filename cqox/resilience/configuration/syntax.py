"""TOML and YAML into plain tables. Duplicate keys are refused in both."""

import importlib
import tomllib
from pathlib import Path
from typing import Protocol, cast

from cqox.resilience.configuration.problems import PolicyFileInvalid

__all__ = ["read_document"]


def read_document(path: Path) -> object:
    """Return the content of a file whose name ends in `.toml`, `.yaml` or `.yml`.

    Raises:
        PolicyFileInvalid: it is in neither language, or PyYAML is missing.
        OSError: it cannot be read.
    """
    if path.suffix not in (".toml", ".yaml", ".yml"):
        raise PolicyFileInvalid(str(path), ["the name of a policy file must end in .toml, .yaml or .yml"])
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PolicyFileInvalid(str(path), [f"it is not in UTF-8: {error}"]) from error
    if path.suffix != ".toml":
        return _yaml(text, str(path))
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # it refuses integers of 4301 digits by a plain ValueError
        raise PolicyFileInvalid(str(path), [f"it is no TOML: {error}"]) from error


class _Mark(Protocol):
    line: int


class _Node(Protocol):
    id: str
    value: object
    start_mark: _Mark


class _Yaml(Protocol):
    YAMLError: type[Exception]
    SafeLoader: type

    def safe_load(self, text: str) -> object: ...

    def compose(self, text: str, Loader: type) -> _Node | None: ...


def _yaml(text: str, path: str) -> object:
    try:
        yaml = cast("_Yaml", importlib.import_module("yaml"))
    except ImportError as error:
        raise PolicyFileInvalid(path, ["YAML needs PyYAML: pip install 'cqox[yaml]'"]) from error
    try:
        # PyYAML keeps the last of equal keys without a word.
        problems = _duplicates(yaml.compose(text, yaml.SafeLoader))
        document = None if problems else yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise PolicyFileInvalid(path, [f"it is no YAML: {' '.join(str(error).split())}"]) from error
    # PyYAML reads what looks like a date or a number, and is none, without looking.
    except (ValueError, LookupError, AttributeError) as error:
        raise PolicyFileInvalid(path, [f"it has a value that is none of its kind: {error}"]) from error
    if problems:
        raise PolicyFileInvalid(path, problems)
    return document


def _duplicates(root: _Node | None) -> list[str]:
    problems: list[str] = []
    seen: set[int] = set()
    left = [] if root is None else [root]
    while left:
        node = left.pop()
        if id(node) in seen or node.id == "scalar":
            continue
        seen.add(id(node))
        if node.id == "sequence":
            left.extend(cast("list[_Node]", node.value))
            continue
        keys: set[object] = set()
        for key, value in cast("list[tuple[_Node, _Node]]", node.value):
            if key.id == "scalar":
                if key.value in keys:
                    problems.append(f"line {key.start_mark.line + 1}: the key {key.value!r} is there twice")
                keys.add(key.value)
            left.append(value)
    return problems
