"""The tools: what each one is called with, what it says, and what it answers."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anyio import to_thread
from pydantic import JsonValue

from cqox.analysis.local import LocalAnalyses
from cqox.api.calls import analyze_request_async, roles_async
from cqox.api.portal import OnStep
from cqox.api.reference import catalog, definitions
from cqox.api.session import Session, dataset_of
from cqox.cli.mcp import summaries
from cqox.cli.mcp.requests import Analysis, Dataset, Estimators, Explanation, Files
from cqox.cli.mcp.roots import Roots
from cqox.contract import ROLES, Options, canonical_role, near_words
from cqox.contract.messages import LANGUAGES, Language, Message, translate_document
from cqox.contract.roles import near_roles
from cqox.contract.strict import Strict
from cqox.contract.words import unknown_word
from cqox.errors import InvalidRequest

__all__ = ["TOOLS", "Tool", "Workplace"]

type _Answer = dict[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Everything that the tools work with.

    Attributes:
        roots: the allowed folders.
        session: whose worker computes.
        language: language of the sentences where a call names none.
    """

    roots: Roots
    session: Session
    language: Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool.

    Attributes:
        name: its name.
        title: its name for people.
        description: its purpose and its answer, for the assistant that chooses it.
        request: the model of its arguments.
        run: returns its answer; gets the steps of a long computation as they end.
    """

    name: str
    title: str
    description: str
    request: type[Strict]
    run: Callable[[Workplace, Any, OnStep], Awaitable[_Answer]]


async def _list_datasets(place: Workplace, given: Files, on_step: OnStep) -> _Answer:
    return await to_thread.run_sync(place.roots.listing, given.folder, abandon_on_cancel=True)


async def _describe_dataset(place: Workplace, given: Dataset, on_step: OnStep) -> _Answer:
    path = await to_thread.run_sync(place.roots.file, given.path)

    async def work(analyses: LocalAnalyses, progress: OnStep) -> bytes:
        record, _ = await dataset_of(analyses, path, given.read)
        return record.description

    described = json.loads(await place.session.start(work).wait_async(on_step))
    return summaries.of_dataset(_in_language(described, given.language or place.language))


async def _suggest_roles(place: Workplace, given: Dataset, on_step: OnStep) -> _Answer:
    path = await to_thread.run_sync(place.roots.file, given.path)
    inference = await roles_async(path, read=given.read, session=place.session)
    document, language = inference.model_dump(mode="json"), given.language or place.language
    return summaries.of_roles(_in_language(document, language), language)


async def _analyze(place: Workplace, given: Analysis, on_step: OnStep) -> _Answer:
    path = await to_thread.run_sync(place.roots.file, given.path)
    report = await analyze_request_async(
        path,
        given.mapping,
        given.options,
        read=given.read,
        language=given.language or place.language,
        progress=on_step,
        session=place.session,
    )
    return summaries.of_report(report.to_dict())


async def _explain(place: Workplace, given: Explanation, on_step: OnStep) -> _Answer:
    language = given.language or place.language
    found = await to_thread.run_sync(lambda: definitions(language=language, session=place.session))
    known: dict[str, _Answer] = {
        each.name.casefold(): each.model_dump(mode="json", exclude_none=True) for each in found
    }
    for each in await to_thread.run_sync(lambda: catalog(session=place.session)):
        known.setdefault(each.name, {"kind": "estimator", **each.model_dump(mode="json", exclude_none=True)})
    for name, role in ROLES.items():
        known.setdefault(name, {"kind": "role", "name": name, "meaning": role.meaning, "takes": role.arity})
    for name, option in Options.model_fields.items():
        meaning, default = (
            option.description or "",
            json.dumps(option.get_default(call_default_factory=True), default=str),
        )
        known.setdefault(name, {"kind": "option", "name": name, "meaning": meaning, "default": default})
    for name in given.names:
        if name.casefold() not in known:
            choices = near_words(name, [str(each["name"]) for each in known.values()])
            raise InvalidRequest(Message("terminal.no-definition", name=name), field="names", choices=choices)
    return {"definitions": [known[name.casefold()] for name in dict.fromkeys(given.names)]}


async def _list_estimators(place: Workplace, given: Estimators, on_step: OnStep) -> _Answer:
    found = [each.model_dump(mode="json") for each in await to_thread.run_sync(lambda: catalog(session=place.session))]
    families = list(dict.fromkeys(str(each["family"]) for each in found))
    if given.family and given.family not in families:
        raise InvalidRequest(Message("mcp.no-such-family", family=given.family), field="family", choices=families)
    chosen = [each for each in found if given.family in ("", each["family"])]
    if given.roles:
        roles = {_role(word) for word in given.roles}
        chosen = [each for each in chosen if roles.issuperset(each["requires"])]
    return summaries.of_estimators(chosen)


def _role(word: str) -> str:
    role = canonical_role(word)
    if role is None:
        raise unknown_word(Message("request.word-role"), word, sorted(ROLES), field="roles", near=near_roles(word))
    return role


def _in_language(document: dict[str, Any], language: Language) -> Mapping[str, Any]:
    if language != LANGUAGES[0]:
        translate_document(document, document["messages"], language)
    return document


TOOLS: Sequence[Tool] = (
    Tool(
        name="list_datasets",
        title="List data files",
        description="List the files in the allowed folders that may hold a table (CSV, Excel, Parquet, Arrow, JSON; "
        "also compressed).",
        request=Files,
        run=_list_datasets,
    ),
    Tool(
        name="describe_dataset",
        title="Describe a data file",
        description="Read a file and return rows, columns (kind, missing, range, levels), first rows and findings: "
        "traps in the data with remedies. Findings of severity 'caps' keep a verdict at CANARY until their remedy is "
        "sent with the next call (at 'upload' in read, at 'analyze' in options).",
        request=Dataset,
        run=_describe_dataset,
    ),
    Tool(
        name="suggest_roles",
        title="Suggest roles of columns",
        description="Suggest which column is the outcome, the treatment, the unit and so on, with reasons. The mapping "
        "can be sent to analyze, but is a guess from names and values: confirm it with the person, above all that "
        "covariates were measured before treatment.",
        request=Dataset,
        run=_suggest_roles,
    ),
    Tool(
        name="analyze",
        title="Estimate a causal effect",
        description="Run every estimator that the roles allow and judge the result. Returns the headline, the verdict "
        "(GO, CANARY, HOLD) with reasons, the effect, the primary estimate (fixed by the design before any outcome "
        "model), the assumptions it rests on with their evidence, the gates that ask for something, and the other "
        "estimates. Say headline and verdict together; call a number an effect only where the headline does. How the "
        "treatment was assigned (options.assignment) is a fact to ask for, not to guess.",
        request=Analysis,
        run=_analyze,
    ),
    Tool(
        name="explain",
        title="Explain a word of a report",
        description="Define verdicts, gates, assumptions, data findings, estimators, roles and options, with "
        "thresholds and sources.",
        request=Explanation,
        run=_explain,
    ),
    Tool(
        name="list_estimators",
        title="List estimators",
        description="List the estimators with their estimands, the roles that they need and what they do.",
        request=Estimators,
        run=_list_estimators,
    ),
)
