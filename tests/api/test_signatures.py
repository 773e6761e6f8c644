"""Signatures with the keys of typed dictionaries."""

import inspect
from typing import TypedDict

import cqox
from cqox.api.keywords import Keywords
from cqox.api.signatures import with_keywords
from cqox.contract import ROLES, Options


class First(TypedDict, total=False):
    a: int


class Second(First, total=False):
    b: "str | None"


def test_the_keys_follow_the_parameters_and_repeat_none() -> None:
    @lambda function: with_keywords(function, Second)
    def called(data: object, *, b: int = 3, **keywords: object) -> object:
        return data

    parameters = inspect.signature(called).parameters
    assert list(parameters) == ["data", "b", "a"]
    assert parameters["b"].default == 3
    assert parameters["a"].kind is inspect.Parameter.KEYWORD_ONLY
    assert called(1, a=2) == 1


def test_analyze_offers_every_role_and_option() -> None:
    names = set(inspect.signature(cqox.analyze).parameters)
    assert {*ROLES, *Options.model_fields} <= names
    assert names - {*ROLES, *Options.model_fields} == {"data", "read", "language", "progress", "session"}
    assert set(Keywords.__annotations__) | set(inspect.signature(cqox.analyze_async).parameters) == names
