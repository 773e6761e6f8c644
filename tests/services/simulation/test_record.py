from services.simulation.catalog import ANALYSES, FILES, JOBS, OWN_ANALYSES, OWN_FILES
from services.simulation.recordings import Recordings


def test_everything_in_the_catalog_has_the_answer_of_a_real_worker(recordings: Recordings) -> None:
    # Recorded by `python -m services.simulation.record`, which `prepare` runs in a process of its own.
    names = [key.partition(" ")[0] for key in recordings]
    assert names.count("analyze") == len(ANALYSES) + len(JOBS) + len(OWN_ANALYSES)
    assert names.count("preview") == len(ANALYSES) + len(JOBS) + len(OWN_ANALYSES)
    assert names.count("ingest") == len(FILES) + len(OWN_FILES)
    assert {"catalog", "definitions", "render", "sample", "samples"} <= set(names)
    catalog = recordings.find("catalog", {})
    assert len(catalog.body["estimators"]) > 50
