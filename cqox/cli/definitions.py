"""`cqox explain`: what a verdict, a gate, an assumption, its status or a data finding means."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from cqox.contract import near_words
from cqox.contract.messages import Language, Message, of
from cqox.errors import InvalidRequest

__all__ = ["print_definitions"]


def print_definitions(console: Console, wanted: Sequence[str], *, language: Language) -> None:
    """Print the definitions of these names, or all where none is given.

    Args:
        console: the output.
        wanted: names of verdicts, gates, assumptions, statuses or data findings.
        language: language of the sentences.

    Raises:
        InvalidRequest: nothing has one of the names.
    """
    from cqox.diagnostics import definitions

    known = definitions()
    names = [each.name for each in known]
    written = {name.casefold(): name for name in names}
    for name in wanted:
        if name.casefold() not in written:
            raise InvalidRequest(
                Message("terminal.no-definition", name=name), choices=near_words(name, names) or names
            )  # fmt: skip
    chosen = {written[name.casefold()] for name in wanted} or set(names)
    for each in known:
        if each.name not in chosen:
            continue
        line = Text(f"{each.name} ", style="bold") + Text(f"({_KINDS[each.kind].in_language(language)})", style="dim")
        console.print(line)
        console.print(Text(f"  {of(each.meaning).in_language(language)}"), soft_wrap=True)
        if each.rule:
            console.print(Text(f"  {of(each.rule).in_language(language)}"), soft_wrap=True)
        if each.designs:
            said = Message("terminal.declarable", designs=list(each.designs))
            console.print(Text(f"  {said.in_language(language)}", style="dim"), soft_wrap=True)
        if each.source:
            console.print(Text(f"  {each.source}", style="dim"), soft_wrap=True)


_KINDS = {
    "verdict": Message("terminal.kind-verdict"),
    "gate": Message("terminal.kind-gate"),
    "assumption": Message("terminal.kind-assumption"),
    "status": Message("terminal.kind-status"),
    "finding": Message("terminal.kind-finding"),
}
