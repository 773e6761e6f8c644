"""The report of a run: JSON, and one page that needs nothing else, in both languages, light and dark."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from cqox.chaos.experiments.drawing import goodput_figure
from cqox.chaos.experiments.experiment import Text
from cqox.chaos.experiments.runner import Outcome

__all__ = ["as_html", "as_json", "write_report"]

_STYLE = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
_SCRIPT = (
    "const set=l=>{document.documentElement.lang=l;"
    "document.querySelectorAll('button[data-lang]').forEach(b=>b.setAttribute('aria-pressed',b.dataset.lang===l))};"
    "document.querySelectorAll('button[data-lang]').forEach(b=>b.onclick=()=>set(b.dataset.lang));"
    "set(navigator.language.startsWith('ja')?'ja':'en');"
)

_WORDS: Mapping[str, Text] = {
    "title": Text(en="Chaos experiments", ja="カオス実験"),
    "held": Text(en="held", ja="成立"),
    "failed": Text(en="failed", ja="不成立"),
    "skipped": Text(en="not run", ja="未実行"),
    "steady": Text(en="Steady state", ja="定常状態"),
    "during": Text(en="During the fault", ja="障害中"),
    "after": Text(en="After the fault", ja="障害後"),
    "always": Text(en="Throughout", ja="全期間"),
    "recovery": Text(en="Recovery", ja="回復"),
    "limit": Text(en="limit", ja="上限"),
    "never": Text(en="not within the limit", ja="上限内に回復せず"),
    "lost": Text(en="Acknowledged and lost", ja="受け付けた後に失われたもの"),
    "nothing": Text(en="nothing", ja="なし"),
    "read": Text(en="reports read again", ja="件の報告を再読"),
    "jobs": Text(en="jobs", ja="ジョブ"),
    "experiment": Text(en="Experiment", ja="実験"),
    "verdict": Text(en="Result", ja="結果"),
    "faults": Text(en="Fault", ja="障害"),
    "goodput": Text(en="good answers", ja="良好な応答"),
    "bad": Text(en="failed", ja="失敗"),
    "interval": Text(en="fault", ja="障害の期間"),
    "axis": Text(en="Requests in each second of the run", ja="実行の各秒の要求数"),
}


def write_report(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write `report.json` and `report.html` into a folder, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(outcomes), ensure_ascii=False, indent=1)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    (folder / "report.html").write_text(as_html(outcomes), encoding="utf-8")


def as_json(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """Return the outcomes as JSON values."""
    return [
        {
            "name": each.experiment.name,
            "title": {"en": each.experiment.title.en, "ja": each.experiment.title.ja},
            "held": each.held,
            "skipped": each.skipped,
            "recovery_seconds": each.recovery_seconds,
            "recovery_limit": each.experiment.after.healed_within,
            "faults": [
                {"kind": fault.kind, "target": fault.target.name, "mode": fault.target.mode, "seconds": fault.seconds}
                for fault in each.experiment.faults
            ],
            "fault_intervals": [list(interval) for interval in each.faults],
            "results": [
                {"phase": result.phase, "probe": result.probe, "holds": result.holds, "found": result.found}
                for result in each.results
            ],
            "lost": list(each.violations),
            "reports": each.reports,
            "jobs": dict(each.jobs),
            "notes": list(each.notes),
            "duration": each.duration,
            "seconds": [
                {
                    "sent": second.sent,
                    "good": second.good,
                    "failures": {str(status): number for status, number in second.failures.items()},
                    "median": second.median,
                    "slowest": second.slowest,
                }
                for second in each.seconds
            ],
        }
        for each in outcomes
    ]


def as_html(outcomes: Sequence[Outcome]) -> str:
    """Return the page."""
    held = sum(each.held for each in outcomes)
    summary = Text(
        en=f"{held} of {len(outcomes)} experiments held.", ja=f"{len(outcomes)} 件の実験のうち {held} 件が成立した。"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_WORDS['title'].en}</title><style>{_STYLE}</style></head><body><header><h1>{_word('title')}</h1>"
        '<nav><button data-lang="en" aria-pressed="true">English</button>'
        '<button data-lang="ja" aria-pressed="false">日本語</button></nav></header><main>'
        f'<p class="summary">{_both(summary)}</p>{_legend()}{_table(outcomes)}'
        f"{''.join(map(_section, outcomes))}</main><script>{_SCRIPT}</script></body></html>\n"
    )


def _both(text: Text) -> str:
    return f'<span lang="en">{escape(text.en)}</span><span lang="ja">{escape(text.ja)}</span>'


def _word(name: str) -> str:
    return _both(_WORDS[name])


def _legend() -> str:
    keys = (("good", "goodput"), ("failed", "bad"), ("fault", "interval"))
    items = "".join(f'<li><i class="{style}"></i>{_word(name)}</li>' for style, name in keys)
    return f'<ul class="legend">{items}</ul>'


def _verdict(outcome: Outcome) -> str:
    name = "held" if outcome.held else "skipped" if outcome.skipped else "failed"
    return f'<span class="verdict {name}">{_word(name)}</span>'


def _recovery(outcome: Outcome) -> str:
    if outcome.skipped or not outcome.faults:
        return "–"
    return _word("never") if outcome.recovery_seconds is None else f"{outcome.recovery_seconds:.1f} s"


def _table(outcomes: Sequence[Outcome]) -> str:
    rows = "".join(
        f'<tr><td><a href="#{each.experiment.name}">{_both(each.experiment.title)}</a></td><td>{_verdict(each)}</td>'
        f'<td class="number">{_recovery(each)}</td><td class="number">{each.experiment.after.healed_within:g} s</td>'
        f'<td class="number">{len(each.violations)}</td></tr>'
        for each in outcomes
    )
    heads = "".join(f"<th>{_word(name)}</th>" for name in ("experiment", "verdict", "recovery", "limit", "lost"))
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _section(outcome: Outcome) -> str:
    experiment = outcome.experiment
    faults = ", ".join(
        f"{fault.kind} · {fault.target.name}{' (all)' if fault.target.mode == 'all' else ''} · {fault.seconds:g} s"
        for fault in experiment.faults
    )
    parts = [
        f'<section id="{experiment.name}"><h2>{_both(experiment.title)} {_verdict(outcome)}</h2>',
        f'<p>{_both(experiment.hypothesis)}</p><p class="fact"><code>{escape(faults)}</code></p>',
    ]
    if outcome.skipped:
        parts.append(f'<p class="fact">{escape(outcome.skipped)}</p></section>')
        return "".join(parts)
    parts.append(
        f"<figure>{goodput_figure(outcome.seconds, outcome.faults, title=experiment.title.en)}"
        f"<figcaption>{_word('axis')}</figcaption></figure>"
    )
    parts.append(
        f'<p class="fact">{_word("recovery")}: {_recovery(outcome)} ({_word("limit")} '
        f"{experiment.after.healed_within:g} s) · {outcome.reports} {_word('read')} · {_word('jobs')}: "
        f"{escape(', '.join(f'{number} {status}' for status, number in outcome.jobs.items()) or '0')}</p>"
    )
    for phase in ("steady", "during", "after", "always"):
        results = [result for result in outcome.results if result.phase == phase]
        if results:
            items = "".join(
                f'<li class="{"holds" if result.holds else "broken"}"><code>{escape(result.probe)}</code>'
                f"<span>{escape(result.found)}</span></li>"
                for result in results
            )
            parts.append(f'<h3>{_word(phase)}</h3><ul class="probes">{items}</ul>')
    lost = "".join(f"<li>{escape(each)}</li>" for each in outcome.violations)
    parts.append(
        f"<h3>{_word('lost')}</h3>" + (f'<ul class="lost">{lost}</ul>' if lost else f"<p>{_word('nothing')}</p>")
    )
    if outcome.notes:
        parts.append(f'<p class="fact">{escape(" ".join(dict.fromkeys(outcome.notes)))}</p>')
    parts.append("</section>")
    return "".join(parts)
