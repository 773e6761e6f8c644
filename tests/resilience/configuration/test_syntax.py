"""TOML and YAML: plain tables, or a sentence that says where the file is wrong."""

import sys
from pathlib import Path

import pytest

from cqox.resilience import PolicyFileInvalid
from cqox.resilience.configuration.syntax import read_document


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_both_languages_give_the_same_tables(tmp_path: Path) -> None:
    toml = written(tmp_path, "a.toml", b'[[policies.engine]]\npart = "Timeout"\nseconds = 5\n')
    for name in ("a.yaml", "a.yml"):
        yaml = written(tmp_path, name, b"policies:\n  engine:\n    - part: Timeout\n      seconds: 5\n")
        assert read_document(yaml) == read_document(toml)
    assert read_document(written(tmp_path, "bom.toml", b"\xef\xbb\xbfa = 1")) == {"a": 1}
    assert read_document(written(tmp_path, "empty.yaml", b"")) is None


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.json", b"{}", "must end in .toml, .yaml or .yml"),
        ("a.toml", b"a = \xff", "not in UTF-8"),
        ("a.toml", b"a = 1\nb = \nc = 2", "no TOML: .*line 2"),
        ("a.toml", b"a = 1\na = 2", "no TOML"),
        ("a.toml", b"a = " + 5000 * b"[", "no TOML: .*recursion"),
        ("a.toml", b"a = " + 5000 * b"9", "no TOML: .*4300 digits"),
        ("a.yaml", b"a: 2001-13-45", "value that is none of its kind: month"),
        ("a.yaml", b"a: !!float x", "value that is none of its kind: .*float"),
        ("a.yaml", b"a: !!bool x", "value that is none of its kind: 'x'"),
        ("a.yaml", b"a: !!timestamp x", "value that is none of its kind"),
        ("a.yaml", b"a: [1\nb: 2", "no YAML: .*line 2"),
        ("a.yaml", b"a: 1\nb:\n  - c: 1\n    c: 2\n", "line 4: the key 'c' is there twice"),
        ("a.yaml", b"a: !!python/object/apply:os.getcwd []", "no YAML: could not determine a constructor"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(PolicyFileInvalid, match=problem) as caught:
        read_document(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_recursive_document_ends(tmp_path: Path) -> None:
    document = read_document(written(tmp_path, "a.yaml", b"a: &a\n  b: *a\n"))
    assert isinstance(document, dict)


def test_yaml_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(PolicyFileInvalid, match=r"pip install 'cqox\[yaml\]'"):
        read_document(written(tmp_path, "a.yaml", b"a: 1"))


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_document(tmp_path / "none.toml")
