"""Notes on reading a file."""

from cqox.contract import reading_notes


def test_notes_are_those_on_the_file_the_mapped_columns_and_the_findings() -> None:
    description = {
        "notes": ["cp932"],
        "columns": [{"name": name, "notes": [f"on {name}"]} for name in ("y", "w", "x", "z")],
        "findings": [{"message": "a total"}],
    }
    mapping = {"y": "y", "covariates": ["x"], "cutoff": 3}
    assert reading_notes(description, mapping) == ["cp932", "y: on y", "x: on x", "a total"]
    assert reading_notes({}, mapping) == []
