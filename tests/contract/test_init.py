"""The package's names, each loaded from its module at first use."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cqox.contract


def test_every_public_name_is_the_one_that_type_checkers_see() -> None:
    tree = ast.parse(Path(cqox.contract.__file__).read_text())
    (checked,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {name.name: node.module for node in checked.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert set(seen) == set(cqox.contract.__all__)
    for name, module in seen.items():
        assert getattr(cqox.contract, name) is getattr(sys.modules[str(module)], name)


def test_an_unknown_name_is_refused_as_by_any_module() -> None:
    with pytest.raises(AttributeError, match=r"cqox\.contract\.nothing"):
        _ = cqox.contract.nothing  # type: ignore[attr-defined]


def test_messages_load_no_models() -> None:
    check = "import sys, cqox.contract.messages; sys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
