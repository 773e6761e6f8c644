"""Errors of policy files."""

from collections.abc import Sequence

from cqox.errors import CqoxError

__all__ = ["PolicyFileInvalid", "PolicyNotLoaded"]


class PolicyFileInvalid(CqoxError, ValueError):
    """A policy file cannot be used; nothing was created or changed.

    Attributes:
        path: path of the file, as it was given.
        problems: one sentence for each problem, with the path of the key, its value and what is allowed.
    """

    def __init__(self, path: str, problems: Sequence[str]) -> None:
        super().__init__(path, problems)
        self.path = path
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(f"{self.path}: {problem}" for problem in self.problems)


class PolicyNotLoaded(CqoxError, LookupError):
    """A function that names a policy was called before there was one of that name; it was not executed.

    Attributes:
        name: the name.
        near: an existing name that is similar, empty where there is none.
    """

    def __init__(self, name: str, *, near: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.near = near

    def __str__(self) -> str:
        meant = f"; did you mean {self.near!r}?" if self.near else ""
        return f"no policy is called {self.name!r}: load its file before the first call{meant}"
