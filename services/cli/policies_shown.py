"""Terminal output of policies."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue
from rich.table import Table
from rich.text import Text

__all__ = ["policies_table"]

type _State = Mapping[str, JsonValue]

_NONE = "–"
_STYLES = {"closed": "green", "open": "red", "half_open": "yellow"}


def policies_table(policies: Mapping[str, JsonValue]) -> Table:
    """Return a table of policies: circuit, running and queued calls with their limits, and rejections."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("policy", "circuit"):
        table.add_column(heading, no_wrap=True)
    for heading in ("running", "waiting", "refused"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, entry in policies.items():
        states = list(_states(entry))
        table.add_row(
            Text(name),
            _circuit(states),
            _of(states, "running", "max_concurrent"),
            _of(states, "queued", "max_queued"),
            _refused(states),
        )
    return table


def _states(entry: JsonValue) -> Iterator[_State]:
    """Yield the states of the parts of a policy, or of a single part."""
    if not isinstance(entry, dict):
        return
    parts = entry.get("parts")
    if not isinstance(parts, list):
        yield entry
        return
    for part in parts:
        state = part.get("state") if isinstance(part, dict) else None
        if isinstance(state, dict):
            yield state


def _circuit(states: list[_State]) -> Text:
    for state in states:
        if "mode" in state:
            position, mode = str(state.get("state")), str(state["mode"])
            forced = "" if mode == "normal" else f" ({mode.replace('_', ' ')})"
            return Text(
                position.replace("_", " ") + forced, style=_STYLES.get(position, "") if not forced else "yellow"
            )
    return Text(_NONE)


def _of(states: list[_State], count: str, most: str) -> str:
    for state in states:
        if count in state and most in state:
            return f"{state[count]}/{state[most]}"
    return _NONE


def _refused(states: list[_State]) -> str:
    counts = [state["rejected"] for state in states if "rejected" in state]
    if not counts:
        return _NONE
    return str(sum(_total(count) for count in counts))


def _total(count: JsonValue) -> int:
    if isinstance(count, dict):
        return sum(_total(one) for one in count.values())
    return count if isinstance(count, int) else 0
