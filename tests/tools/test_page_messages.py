"""Sentences of the page's modules that the catalog lacks, fills otherwise, or has for nothing."""

from pathlib import Path

from tools.page_messages import page_findings


def findings(folder: Path, source: str) -> list[str]:
    (folder / "view.js").write_text(source, encoding="utf-8")
    return [found for found in page_findings(folder) if "is used nowhere" not in found]


def test_a_sentence_with_its_fields_is_right(tmp_path: Path) -> None:
    assert findings(tmp_path, 't("arm"); t("rows-kept-of", { kept: rows.kept, read: rows.read })') == []


def test_an_unknown_sentence_and_wrong_fields_are_found(tmp_path: Path) -> None:
    assert findings(tmp_path, 't("no-such-sentence")') == [
        "view.js: page.no-such-sentence is not in the English catalog"
    ]
    assert findings(tmp_path, 't("rows-kept-of", { kept: 1 })') == [
        "view.js: page.rows-kept-of takes ['kept', 'read'], not ['kept']"
    ]
    assert findings(tmp_path, 't("rows-kept-of")') == ["view.js: page.rows-kept-of takes ['kept', 'read'], not []"]


def test_a_sentence_that_no_module_names_is_found(tmp_path: Path) -> None:
    (tmp_path / "view.js").write_text('t("arm")', encoding="utf-8")
    found = list(page_findings(tmp_path))
    assert "en: page.arms is used nowhere" in found
    assert "en: page.arm is used nowhere" not in found
