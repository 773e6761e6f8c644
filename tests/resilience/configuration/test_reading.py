"""Content of a file: its parts in order, or every problem with the path of its key."""

from pathlib import Path

import pytest

from cqox.resilience import PolicyFileInvalid
from cqox.resilience.configuration.reading import key_path, read_policy_file

GOOD = """
[budgets.shared]
ratio = 0.1

[[policies."read api"]]
part = "Retry"
budget = "shared"

[[policies."read api"]]
part = "Timeout"
seconds = 5
"""


def problems(folder: Path, text: str, name: str = "a.toml") -> list[str]:
    path = folder / name
    path.write_text(text)
    with pytest.raises(PolicyFileInvalid) as caught:
        read_policy_file(path)
    assert str(caught.value).splitlines() == [f"{path}: {problem}" for problem in caught.value.problems]
    return list(caught.value.problems)


def test_parts_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD)
    content = read_policy_file(tmp_path / "a.toml")
    retry, timeout = content.policies["read api"]
    assert (retry.kind.name, retry.at, retry.settings) == ("Retry", 'policies."read api"[0]', {"budget": "shared"})
    assert (timeout.kind.name, timeout.settings) == ("Timeout", {"seconds": 5.0})
    assert content.budgets["shared"].settings == {"ratio": 0.1}


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("0.1", "-1").replace('"shared"\n', '"sharde"\n').replace("seconds = 5", "second = 5")
    assert problems(tmp_path, text) == [
        "budgets.shared.ratio must be retries per first attempt, from 0 to 1, not -1",
        "policies.\"read api\"[0].budget names no budget of the file, 'sharde': did you mean 'shared'?",
        "policies.\"read api\"[1] has no setting 'second' of Timeout: did you mean 'seconds'?",
        "policies.\"read api\"[1] lacks 'seconds', which Timeout needs",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["policies must be a table with at least one policy"]),
        ("[policies]", ["policies must be a table with at least one policy"]),
        ("[policy.a]", ["the file has no table 'policy': did you mean 'policies'?"]),
        ("[policies]\na = 1", ["policies.a must be a list of parts, outermost first, with at least one, not 1"]),
        ("[policies]\na = []", ["policies.a must be a list of parts, outermost first, with at least one, not []"]),
        ("[policies]\na = [5]", ["policies.a[0] must be a table, not 5"]),
        (
            '[policies]\na = [{part = "Timout"}]',
            ["policies.a[0].part must be the kind of a part, not 'Timout': did you mean 'Timeout'?"],
        ),
        ('[policies]\n"" = [{part = "Drain"}]', ["a name must be a text that is not empty, not ''"]),
        ('budgets = 1\n[policies]\na = [{part = "Drain"}]', ["budgets must be a table, not 1"]),
        ('budgets.a = 1\n[policies]\na = [{part = "Drain"}]', ["budgets.a must be a table, not 1"]),
    ],
)
def test_other_forms_are_refused(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert problems(tmp_path, text) == expected


def test_a_part_without_its_kind_lists_the_kinds(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "[policies]\na = [{seconds = 5}]")
    assert problem.startswith("policies.a[0].part must be the kind of a part, not None: there are: AdaptiveLimit, ")


def test_yaml_is_read_alike(tmp_path: Path) -> None:
    assert problems(tmp_path, "policies:\n  a:\n    - part: Timeout\n      1: 5\n", "a.yaml") == [
        "policies.a[0] has a key that is no text: 1",
        "policies.a[0] lacks 'seconds', which Timeout needs",
    ]
    assert problems(tmp_path, "- 1", "b.yaml") == ["the file must be a table, not [1]"]


def test_a_path_of_keys_is_in_the_syntax_of_toml() -> None:
    assert key_path("policies", "engine-2", 'a "b"', "c.d") == 'policies.engine-2."a \\"b\\""."c.d"'
