"""The commands of `cqox certs`: their work and their output."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cqox.certificates import CertificatesUnusable, is_identity
from cqox.cli.output import listing_console
from cqox.contract.messages import Language, Message

if TYPE_CHECKING:
    from cqox.certificates.authority import Authority, Issued

__all__ = ["Wanted", "init", "issue", "renew", "replace", "show"]

_USAGE = 2
_COLUMNS = (
    Message("certs.column-part"),
    Message("certs.column-identity"),
    Message("certs.column-names"),
    Message("certs.column-expires"),
    Message("certs.column-left"),
    Message("certs.column-authority"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The certificates to issue.

    Attributes:
        parts: names of the parts.
        hosts: further host names and addresses of each.
        domain: trust domain of their identities.
        days: days of their validity.
    """

    parts: Sequence[str]
    hosts: Sequence[str]
    domain: str
    days: float


def init(folder: Path, wanted: Wanted, *, language: Language) -> int:
    """Create an authority with these parts; return the exit status: 0, 1 for a failure, 2 for an invalid name."""

    def work() -> None:
        from cqox.certificates.authority import Authority

        _check(wanted)
        _issue(Authority.create(folder), wanted, language)
        _say(Message("certs.created", folder=str(folder)), language)

    return _run(folder, work, language)


def issue(folder: Path, wanted: Wanted, *, language: Language) -> int:
    """Issue certificates for these parts by an existing authority; returns as `init` does."""

    def work() -> None:
        from cqox.certificates.authority import Authority

        _check(wanted)
        _issue(Authority(folder), wanted, language)

    return _run(folder, work, language)


def renew(folder: Path, parts: Sequence[str], *, days: float | None, language: Language) -> int:
    """Replace the certificates of these parts, or of all where none is named; returns as `init` does."""

    def work() -> None:
        from cqox.certificates.authority import Authority

        authority = Authority(folder)
        for part in parts or authority.parts:
            _say_issued(authority.renew(part, days=days), language)
        _say(Message("certs.renewed"), language)

    return _run(folder, work, language)


def replace(folder: Path, *, language: Language) -> int:
    """Take the next step in the replacement of the authority and name it; returns as `init` does."""

    def work() -> None:
        from cqox.certificates.authority import Authority, Step

        authority = Authority(folder)
        step = authority.replace()
        said = {
            Step.ACCEPT: Message("certs.step-accept", folder=str(folder)),
            Step.ISSUE: Message("certs.step-issue", folder=str(folder)),
            Step.RETIRE: Message("certs.step-retire"),
        }
        _say(said[step], language)

    return _run(folder, work, language)


def show(folder: Path, *, as_json: bool, language: Language) -> int:
    """List the certificates; return the exit status: 0, or 1 where one has expired or the folder cannot be read."""
    expired = False

    def work() -> None:
        nonlocal expired
        from cqox.certificates.authority import Authority

        authority = Authority(folder)
        issued = [authority.show(part) for part in authority.parts]
        now = datetime.now(UTC)
        expired = any(each.not_after <= now for each in issued)
        if as_json:
            print(json.dumps([_record(each) for each in issued], indent=2))
            return
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in _COLUMNS:
            table.add_column(column.in_language(language), overflow="fold")
        for each in issued:
            table.add_row(*map(Text, _cells(each, now, language)))
        listing_console().print(table)

    return _run(folder, work, language) or int(expired)


def _record(issued: "Issued") -> dict[str, object]:
    return {
        "part": issued.part,
        "identity": issued.identity,
        "names": issued.names,
        "not_before": issued.not_before.isoformat(),
        "not_after": issued.not_after.isoformat(),
        "authority": issued.authority,
    }


def _cells(issued: "Issued", now: datetime, language: Language) -> tuple[str, ...]:
    left = (issued.not_after - now).total_seconds() / 86_400
    return (
        issued.part,
        issued.identity,
        ", ".join(issued.names),
        _date(issued.not_after),
        (Message("certs.days", days=left) if left > 0 else Message("certs.expired")).in_language(language),
        issued.authority or Message("certs.not-accepted").in_language(language),
    )


def _issue(authority: "Authority", wanted: Wanted, language: Language) -> None:
    from cqox.certificates.authority import DEFAULT_NAMES

    for part in wanted.parts:
        identity = f"spiffe://{wanted.domain}/{part}"
        names = (*DEFAULT_NAMES, *wanted.hosts)
        _say_issued(authority.issue(part, days=wanted.days, names=names, identity=identity), language)


def _check(wanted: Wanted) -> None:
    # Before anything is written.
    from cqox.certificates.authority import InvalidPart, is_part

    for part in wanted.parts:
        if not is_part(part):
            raise InvalidPart(part)
        if not is_identity(f"spiffe://{wanted.domain}/{part}"):
            raise _InvalidDomain(wanted.domain)


class _InvalidDomain(CertificatesUnusable):
    pass


def _run(folder: Path, work: Callable[[], None], language: Language) -> int:
    try:
        from cqox.certificates.authority import AuthorityExists, AuthorityMissing, InvalidPart
    except ModuleNotFoundError:
        return _fail(Message("certs.no-cryptography"), language)
    try:
        work()
    except AuthorityExists:
        return _fail(Message("certs.exists", folder=str(folder)), language)
    except AuthorityMissing:
        return _fail(Message("certs.missing", folder=str(folder)), language)
    except InvalidPart as error:
        return _fail(Message("certs.invalid-part", name=str(error)), language, status=_USAGE)
    except _InvalidDomain as error:
        return _fail(Message("certs.invalid-domain", domain=str(error)), language, status=_USAGE)
    except (CertificatesUnusable, OSError, ValueError) as error:
        return _fail(Message("terminal.error", text=str(error)), language)
    return 0


def _say_issued(issued: "Issued", language: Language) -> None:
    _say(
        Message("certs.issued", part=issued.part, identity=issued.identity, until=_date(issued.not_after)),
        language,
    )


def _date(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _say(message: Message, language: Language) -> None:
    Console(highlight=False).print(message.in_language(language), markup=False, soft_wrap=True)


def _fail(message: Message, language: Language, *, status: int = 1) -> int:
    console = Console(stderr=True, highlight=False)
    console.print(message.in_language(language), style="red", markup=False, soft_wrap=True)
    return status
