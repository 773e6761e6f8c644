from cqox.analysis.erasure_progress import ErasedReport, Progress


def test_progress_is_read_back_as_it_was_written() -> None:
    progress = Progress(
        datasets={"d": "1"},
        files={"d/table.parquet": "2"},
        reports={"a": ErasedReport(digest="3", figures=2, annotations=1, shares=4)},
        jobs={"j", "i"},
        uploads={"u"},
        keys={"k"},
        api_keys={"p"},
        encryption_key=True,
    )
    assert Progress.read(progress.written()) == progress
    assert Progress.read(Progress().written()) == Progress()


def test_counts_and_digests_follow_from_what_is_deleted() -> None:
    reports = {
        str(number): ErasedReport(digest=f"d{number}", figures=number, annotations=1, shares=0) for number in (1, 2)
    }
    progress = Progress(datasets={"d": "1"}, reports=reports, jobs={"j"})
    assert {name: count for name, count in progress.counts().items() if count} == {
        "datasets": 1,
        "reports": 2,
        "figures": 3,
        "annotations": 2,
        "jobs": 1,
    }
    assert progress.digests() == {"datasets": {"d": "1"}, "files": {}, "reports": {"1": "d1", "2": "d2"}}
