"""Facts of a report, read from its bytes: figures and names of closed vocabularies, no level and no text."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from cqox.contract.roles import ROLES
from cqox.storage.contracts import StoredReport
from cqox.storage.facts import Item, ReportFacts
from cqox.storage.rows import is_text

__all__ = ["facts_of"]

type _Object = Mapping[str, object]

_MOST_ITEMS = 1_500
_MOST_CHARACTERS = 100
_SURE = 0.5
"""Confidence from which on a candidate counts as a suggestion; those below are only the best that there are."""
_REFUTERS = ("placebo_treatment", "dummy_outcome", "random_common_cause", "data_subset")


def facts_of(report: StoredReport, description: bytes | None = None) -> ReportFacts:
    """Return the facts of a report in plain text. What a report of another version lacks is absent.

    Args:
        report: the report.
        description: of its data set, whose suggested roles are compared with those of the request; None where the data
            set is deleted or built in.
    """
    content, provenance = _parsed(report.report), _parsed(report.provenance)
    decision, options, effect = (_object(content, name) for name in ("decision", "options", "effect"))
    estimates = _objects(content.get("estimates"))
    primary = next((each for each in estimates if each.get("name") == report.primary), {})
    lower, upper = _number(primary.get("ci_lower")), _number(primary.get("ci_upper"))
    minimum, better = _number(decision.get("minimum_effect")), _text(decision.get("better"))
    rivals = [
        number
        for each in estimates
        if each.get("estimand") == primary.get("estimand") and each.get("contrast") == primary.get("contrast")
        if (number := _number(each.get("estimate"))) is not None
    ]
    mapping = _object(content, "mapping")
    return ReportFacts(
        analysis_id=report.analysis_id,
        created_second=_second(report.created_at),
        status=report.status,
        verdict=report.verdict,
        primary_name=_text(report.primary),
        family=_text(primary.get("family")),
        design=_text(_object(content, "identification").get("design")),
        assignment=_text(options.get("assignment")),
        dataset_rows=_whole(provenance.get("rows")),
        rows_used=_whole(provenance.get("rows_used")),
        mapped_columns=len({column for value in mapping.values() for column in _columns(value)}) if mapping else None,
        seconds=_sum(_object(provenance, "seconds")),
        estimate=report.estimate,
        standard_error=_number(primary.get("standard_error")),
        ci_lower=lower,
        ci_upper=upper,
        minimum_effect=minimum,
        better=better,
        position=_position(lower, upper, minimum, better),
        baseline=_number(effect.get("baseline")),
        relative=_number(effect.get("relative")),
        replications=_whole(options.get("refute")),
        lowest=min(rivals, default=None),
        highest=max(rivals, default=None),
        code_version=_text(provenance.get("code_version")),
        items=tuple(_items(content, estimates, description))[:_MOST_ITEMS],
    )


def _items(content: _Object, estimates: Sequence[_Object], description: bytes | None) -> Iterator[Item]:
    yield from _gates(content)
    yield from _assumptions(content)
    yield from _refuters(content)
    yield from _roles(_object(content, "mapping"), description)
    yield from _findings(content)
    yield from _estimators(content, estimates)


def _estimators(content: _Object, estimates: Sequence[_Object]) -> Iterator[Item]:
    messages = _object(content, "messages")
    for number, each in enumerate(estimates):
        name = _text(each.get("name"))
        if name is None:
            continue
        message = _object(messages, f"/estimates/{number}/reason")
        role = _text(_object(message, "params").get("role"))
        yield Item(
            kind="estimator",
            name=name,
            part=_text(each.get("family")),
            detail=_text(each.get("estimand")),
            status=_text(each.get("status")),
            reason=_text(message.get("code")),
            # Any other word could be one of the data.
            about=role if role in ROLES else None,
            value=_number(each.get("estimate")),
            standard_error=_number(each.get("standard_error")),
            lower_end=_number(each.get("ci_lower")),
            upper_end=_number(each.get("ci_upper")),
            p_value=_number(each.get("p_value")),
            amount=_whole(each.get("n")),
            seconds=_number(each.get("seconds")),
        )


def _gates(content: _Object) -> Iterator[Item]:
    for given, gate in _object(content, "gates").items():
        name = _text(given)
        if name is not None and isinstance(gate, dict):
            yield Item(
                kind="gate",
                name=name,
                status=_text(gate.get("status")),
                value=_number(gate.get("value")),
                threshold=_number(gate.get("threshold")),
            )


def _assumptions(content: _Object) -> Iterator[Item]:
    for each in _objects(_object(content, "identification").get("assumptions")):
        name = _text(each.get("name"))
        if name is not None:
            yield Item(
                kind="assumption", name=name, status=_text(each.get("status")), amount=int(each.get("caps") is True)
            )


def _refuters(content: _Object) -> Iterator[Item]:
    found = _object(_object(content, "diagnostics"), "refutations")
    for name in _REFUTERS:
        tried = found.get(name)
        if isinstance(tried, dict):
            stands = tried.get("stands")
            yield Item(
                kind="refuter",
                name=name,
                status="not_run" if not isinstance(stands, bool) else "stands" if stands else "contradicted",
                value=_number(tried.get("mean")),
                standard_error=_number(tried.get("sd")),
                p_value=_number(tried.get("p_value")),
                amount=_whole(tried.get("computed")),
            )


def _roles(mapping: _Object, description: bytes | None) -> Iterator[Item]:
    suggested = _suggested(description)
    for role in ROLES:
        chosen = _columns(mapping.get(role))
        offered = None if suggested is None else suggested.get(role, [])
        if chosen:
            yield Item(kind="role", name=role, status=_against(chosen, offered), amount=len(chosen))
        elif offered and role not in mapping:
            yield Item(kind="role", name=role, status="left_out", amount=0)


def _against(chosen: Sequence[str], offered: Sequence[str] | None) -> str:
    if offered is None:
        return "unknown"
    if not offered:
        return "unsuggested"
    return "same" if set(chosen) <= set(offered) and (len(chosen) > 1 or chosen[0] == offered[0]) else "other"


def _suggested(description: bytes | None) -> Mapping[str, list[str]] | None:
    """Return the suggested columns of each role, likeliest first; None where nothing is known."""
    roles = None if description is None else _parsed(description).get("roles")
    if not isinstance(roles, dict):
        return None
    return {
        role: [str(each.get("column")) for each in _objects(found) if (_number(each.get("confidence")) or 0) >= _SURE]
        for role, found in roles.items()
    }


def _findings(content: _Object) -> Iterator[Item]:
    for each in _objects(content.get("findings")):
        code = _text(each.get("code"))
        if code is not None:
            status = "accepted" if each.get("accepted") is True else "open"
            yield Item(kind="finding", name=code, part=_text(each.get("severity")), status=status)


def _position(lower: float | None, upper: float | None, minimum: float | None, better: str | None) -> str | None:
    """Return where the interval lies against the minimum effect, in the direction that is better."""
    if minimum is None:
        return None
    if better == "lower":
        lower, upper = (None if upper is None else -upper), (None if lower is None else -lower)
    if lower is not None and lower > minimum:
        return "beyond"
    if upper is not None and upper < minimum:
        return "short"
    return "unbounded" if lower is None or upper is None else "around"


def _parsed(content: bytes) -> _Object:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _object(content: _Object, name: str) -> _Object:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _objects(found: object) -> Sequence[_Object]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _columns(value: object) -> Sequence[str]:
    given = value if isinstance(value, list) else [value]
    return [each for each in given if isinstance(each, str)]


def _text(value: object) -> str | None:
    # A word of a vocabulary is short; NUL and lone surrogates are no part of one, and PostgreSQL stores none.
    return value[:_MOST_CHARACTERS] if isinstance(value, str) and is_text(value) else None


def _number(value: object) -> float | None:
    if not isinstance(value, float | int) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else None


def _sum(seconds: _Object) -> float | None:
    numbers = [number for value in seconds.values() if (number := _number(value)) is not None]
    return sum(numbers) if numbers else None


def _second(created_at: str) -> int:
    try:
        return int(datetime.fromisoformat(created_at).timestamp())
    except ValueError:
        return 0
