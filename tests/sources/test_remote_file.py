"""Descriptions of a file by its server."""

from dataclasses import replace

from cqox.sources.remote_file import RemoteFile


def test_descriptions_differ_where_both_say_something_else() -> None:
    file = RemoteFile(key="a", size_bytes=3, e_tag="1", modified=10)
    assert file.is_same(replace(file, size_bytes=None, e_tag=None))
    for other in (replace(file, size_bytes=4), replace(file, e_tag="2"), replace(file, modified=11)):
        assert not file.is_same(other)
    assert file.is_identified
    assert not replace(file, e_tag=None, modified=None).is_identified
