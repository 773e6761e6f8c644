import vl_convert

from services.page.vendor import FOLDER, VENDORED


def test_every_file_of_others_is_unchanged_and_has_its_licence():
    assert {each.name for each in VENDORED} == {path.name for path in FOLDER.glob("*.js")}
    for each in VENDORED:
        assert each.is_unchanged, each.name
        assert (FOLDER / each.notice).stat().st_size > 500


def test_figures_are_drawn_by_the_same_vega_here_and_on_the_server():
    assert (FOLDER / "vega.js").read_text(encoding="utf-8") == vl_convert.javascript_bundle()


def test_a_changed_file_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr("services.page.vendor.FOLDER", tmp_path)
    (tmp_path / VENDORED[0].name).write_text("changed")
    assert not VENDORED[0].is_unchanged
