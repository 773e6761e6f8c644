from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console

from cqox.cli.output import Progress, error_console, print_error, print_json, result_console
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, UnusableData, WorkerLost


def console() -> tuple[Console, StringIO]:
    out = StringIO()
    return Console(file=out, width=200), out


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest(Message("request.empty-body")), 2),
        (UnusableData(Message("request.empty-body")), 1),
        (WorkerLost(Message("request.empty-body")), 1),
        (FileNotFoundError(2, "No such file", "a.csv"), 1),
    ],
)
def test_the_status_says_whether_the_command_line_is_at_fault(error: Exception, status: int):
    where, out = console()
    assert print_error(error, "en", console=where) == status
    assert out.getvalue().startswith(("The body is empty.", "'a.csv' cannot be read or written: No such file."))


def test_an_error_is_in_the_language_that_is_asked_for_with_its_choices():
    where, out = console()
    print_error(WorkerLost(Message("request.empty-body")), "ja", console=where)
    assert "空" in out.getvalue()
    where, out = console()
    print_error(InvalidRequest(Message("request.empty-body"), choices=["a", "b"]), "ja", console=where)
    assert out.getvalue().splitlines()[1] == "有効な値：a, b"
    assert "空" in out.getvalue()


def test_progress_writes_notes_and_the_steps_that_were_not_skipped():
    where, out = console()
    with Progress(where, "en") as progress:
        progress.step({"step": "file", "notes": ["Read as cp932."]})
        progress.step({"step": "estimate.aipw", "seconds": 0.5})
        progress.step({"step": "estimate.iv_2sls", "status": "skipped"})
        for sent in (10, 20):
            progress.step({"step": "upload", "sent_bytes": sent, "size_bytes": 20})
        progress.step({"step": "figures"})
    shown = ["file: Read as cp932.", "estimate.aipw (0.5 s)", "upload 100%", "figures"]
    assert out.getvalue().splitlines() == shown


def test_results_and_errors_go_to_different_streams(capsys: pytest.CaptureFixture[str]):
    result_console().print("a")
    error_console().print("b")
    assert capsys.readouterr() == ("a\n", "b\n")


def test_json_is_escaped_where_the_encoding_lacks_a_character(monkeypatch: pytest.MonkeyPatch):
    for encoding, written in (("utf-8", '"売"'), ("cp932", '"売"'), ("ascii", '"\\u58f2"')):
        out = TextIOWrapper(BytesIO(), encoding=encoding)
        monkeypatch.setattr("sys.stdout", out)
        print_json("売")
        out.flush()
        assert out.buffer.getvalue().decode(encoding) == f"{written}\n"  # type: ignore[attr-defined]
