import os
from pathlib import Path

from cqox.chaos.simulation.disk.namespace import Namespace
from cqox.chaos.simulation.disk.tree import content_of, describe, node_of, read_tree, write_tree


def nothing_is_opaque(_: str) -> bool:
    return False


def a_tree(root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").write_bytes(b"content")
    os.chmod(root / "a/b/file", 0o640)
    os.link(root / "a/b/file", root / "link")
    (root / "symbolic").symlink_to("a/b")
    os.utime(root / "a/b", (100, 200))


def test_a_tree_is_read_and_written_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    a_tree(tmp_path / "one")
    (tmp_path / "other/stale").mkdir()
    top = read_tree(str(tmp_path / "one"), nothing_is_opaque)
    contents = {node: node.synced for _, node in Namespace(top).paths() if node.kind == "file"}
    assert list(contents.values()) == [b"content"]
    write_tree(str(tmp_path / "other"), top, contents, nothing_is_opaque)
    other = tmp_path / "other"
    assert sorted(str(path.relative_to(other)) for path in other.rglob("*")) == [
        "a", "a/b", "a/b/file", "link", "symbolic",
    ]  # fmt: skip
    assert (other / "link").samefile(other / "a/b/file")
    assert (other / "link").stat().st_mode & 0o777 == 0o640
    assert (other / "a/b").stat().st_mtime == 200
    assert os.readlink(other / "symbolic") == "a/b"


def test_opaque_files_are_neither_read_nor_replaced(tmp_path: Path) -> None:
    a_tree(tmp_path)

    def is_opaque(path: str) -> bool:
        return path == "a/b/file"

    top = read_tree(str(tmp_path), is_opaque)
    assert "file" not in top.entries["a"].entries["b"].entries
    top.entries.clear()
    write_tree(str(tmp_path), top, {}, is_opaque)
    assert (tmp_path / "a/b/file").read_bytes() == b"content"
    assert not (tmp_path / "link").exists()


def test_what_is_missing_has_no_node_and_no_content(tmp_path: Path) -> None:
    assert node_of(str(tmp_path / "missing")) is None
    assert content_of(str(tmp_path / "missing")) is None
    (tmp_path / "file").write_bytes(b"content")
    node = node_of(str(tmp_path / "file"))
    assert node is not None
    os.chmod(tmp_path / "file", 0o400)
    describe(node, (tmp_path / "file").stat())
    assert node.mode == 0o400
    assert content_of(str(tmp_path / "file")) == b"content"
