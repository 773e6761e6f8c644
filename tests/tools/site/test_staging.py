"""The pages of a site in one folder."""

import json
from pathlib import Path

import pytest

from tools.site.staging import Site, stage


def repository(root: Path) -> Path:
    files = {
        "CONTRIBUTING.md": "# C\n",
        "cqox/errors.py": "",
        "deploy/rules.yml": "",
        "docs/README.md": "# R\n[c](../CONTRIBUTING.md) [e](../cqox/errors.py) [d](../deploy/rules.yml) "
        "[j](ja/README.md#x) [n](../examples/n.ipynb)\n",
        "docs/how-to/a.md": "# A\n[r](../README.md#r) [j](../ja/how-to/a.md)\n",
        "docs/ja/README.md": "# J\n[e](../README.md) [a](how-to/a.md)\n",
        "docs/ja/how-to/a.md": "# J\n[e](../../how-to/a.md)\n",
        "docs/site.css": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "examples").mkdir()
    (root / "examples" / "n.ipynb").write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "# N"}]}))
    return root


def test_links_lead_to_pages_of_the_site_or_become_text(tmp_path: Path) -> None:
    root, into = repository(tmp_path / "repo"), tmp_path / "en"
    pages = stage(Site(root=root, language="en", api={"errors.md": "# E\n"}), into)
    assert pages == [
        "README.md", "examples/n.md", "how-to/a.md", "project/CONTRIBUTING.md", "reference/api/errors.md",
    ]  # fmt: skip
    assert (into / "README.md").read_text() == (
        "# R\n[c](project/CONTRIBUTING.md) [e](reference/api/errors.md) d [j](ja/index.html#x) [n](examples/n.md)\n"
    )
    assert (into / "how-to/a.md").read_text() == "# A\n[r](../README.md#r) [j](../ja/how-to/a.html)\n"
    assert (into / "site.css").exists()


def test_japanese_pages_link_english_ones_across_the_sites(tmp_path: Path) -> None:
    root, into = repository(tmp_path / "repo"), tmp_path / "ja"
    assert stage(Site(root=root, language="ja", api={}), into) == ["README.md", "how-to/a.md"]
    assert (into / "README.md").read_text() == "# J\n[e](../index.html) [a](how-to/a.md)\n"
    assert (into / "how-to/a.md").read_text() == "# J\n[e](../../how-to/a.html)\n"


def test_a_link_to_a_missing_file_is_refused(tmp_path: Path) -> None:
    root = repository(tmp_path / "repo")
    (root / "docs" / "README.md").write_text("[x](gone.md)")
    with pytest.raises(ValueError, match=r"links gone\.md"):
        stage(Site(root=root, language="en", api={}), tmp_path / "en")
