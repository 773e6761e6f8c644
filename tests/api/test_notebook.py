"""The output of a notebook's cell."""

from html.parser import HTMLParser

from cqox.api.calls import analyze
from cqox.api.report import Report
from cqox.api.session import Session
from cqox.contract.messages import Language
from cqox.errors import ServerUnreachable
from tests.api.conftest import trial


class Elements(HTMLParser):
    """Collects the names of elements and the text; checks that they are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.names.append(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Elements:
    found = Elements()
    found.feed(html)
    assert found.open == []
    return found


def test_it_has_headline_verdict_ledger_gates_and_figure(report: Report) -> None:
    found = read(report._repr_html_())
    assert report.headline in found.text
    assert "GO" in found.text
    assert report.identification is not None
    for entry in report.identification.assumptions:
        assert entry.statement in found.text
    assert "svg" in found.names
    assert not {"script", "link", "iframe"} & set(found.names)
    assert "仮定" in read(report.in_language("ja")._repr_html_()).text


def test_names_of_columns_are_text(session: Session) -> None:
    frame = trial().rename(columns={"sales": "<script>alert(1)</script>"})
    report = analyze(frame, y="<script>alert(1)</script>", treatment="campaign", session=session)
    found = read(report._repr_html_())
    assert "script" not in found.names
    assert "<script>alert(1)</script>" in found.text


class Away:
    """A source whose server does not answer."""

    def specification(self, name: str, language: Language) -> dict[str, object]:
        raise ServerUnreachable("away")

    def drawn(self, name: str, suffix: str, language: Language) -> bytes:
        raise ServerUnreachable("away")

    export = drawn  # type: ignore[assignment]


def test_a_server_that_is_away_costs_the_figure_alone(report: Report) -> None:
    found = read(Report(report.to_dict(), Away())._repr_html_())  # type: ignore[arg-type]
    assert report.headline in found.text
    assert "svg" not in found.names
