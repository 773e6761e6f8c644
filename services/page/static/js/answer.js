// The answer: one sentence, the verdict, what must be true, the checks, and figures; the rest on demand.
import { asProblem, call, id } from "./api.js";
import { Findings } from "./data.js";
import { isRemedied, named, remedied, startJob } from "./draft.js";
import { Figure } from "./figure.js";
import { Gates, Ledger } from "./ledger.js";
import { estimatorLabel, labels, loadLabels } from "./labels.js";
import { html, useEffect, useState } from "./lib.js";
import { Badge, Busy, Failure, Heading, Steps, Table, useLoaded, useStore } from "./parts.js";
import { go, route } from "./route.js";
import { Annotation, Exports, Shares } from "./share.js";
import { currentLanguage, number, percent, signedPercent, t } from "./text.js";
import { WhatIf } from "./whatif.js";

const VERDICTS = { GO: "verdict-go", CANARY: "verdict-canary", HOLD: "verdict-hold" };
const SHOWN = 20;

/** Figures that show a design, by the name the ledger gives it; the first that the report has comes first. */
const FIRST_FIGURES = {
  trends: ["event_means", "event_study"],
  switching_trends: ["event_study", "event_means"],
  sharp_cutoff: ["discontinuity"],
  fuzzy_cutoff: ["discontinuity"],
  synthetic_control: ["synthetic_control", "event_means"],
  interrupted_series: ["interrupted_series"],
  comparison: ["dose_curve"],
};

const FIGURES = {
  forest: "figure-forest",
  overlap: "figure-overlap",
  love_plot: "figure-love-plot",
  love_plot_others: "figure-love-plot-others",
  weights: "figure-weights",
  weights_others: "figure-weights-others",
  event_means: "figure-event-means",
  event_study: "figure-event-study",
  heterogeneity: "figure-heterogeneity",
  synthetic_control: "figure-synthetic-control",
  sensitivity_contour: "figure-sensitivity-contour",
  discontinuity: "figure-discontinuity",
  score_density: "figure-score-density",
  interrupted_series: "figure-interrupted-series",
  dose_curve: "figure-dose-curve",
};

/** The title of a figure; those of a second comparison end in -2. */
function figureName(name) {
  const [, kind, comparison] = /^(.*?)(?:-(\d+))?$/.exec(name);
  const title = FIGURES[kind] ? t(FIGURES[kind]) : kind.replaceAll("_", " ");
  return comparison ? t("figure-of-comparison", { title, number: Number(comparison) }) : title;
}

export function Answer({ analysisId }) {
  const { value: report, problem, again } = useLoaded((signal) => call(`/api/analyses/${id(analysisId)}`, { signal }), [analysisId]);
  if (problem?.status === 404) return html`<${Heading}>${t("analysis-gone-title")}<//><p>${t("analysis-gone")}</p><p><a href="/history">${t("history")}</a></p>`;
  if (problem) return html`<${Heading}>${t("step-answer")}<//><${Failure} problem=${problem} again=${again} />`;
  if (!report) return html`<${Heading}>${t("step-answer")}<//><${Busy} />`;
  return html`<${Shown} key=${analysisId} report=${report} />`;
}

function Shown({ report }) {
  const dataset = `/d/${id(report.dataset_id)}`;
  const [state, setState] = useState({});
  const request = { mapping: report.mapping, options: report.options };
  const vary = async (next) => {
    setState({ busy: true });
    try {
      const job = await startJob(call, { ...named(report.dataset_id), ...next });
      go(`/j/${id(job.job_id)}`);
    } catch (error) {
      setState({ problem: asProblem(error) });
    }
  };
  const accept = (code) => vary(remedied(request, { accept: [code] }));
  const declare = (name) => vary(remedied(request, name === "randomized" || name === "unconfounded" ? { assignment: name } : { assumes: [name] }));
  const compared = route.value.query.get("with")?.split(",").filter(Boolean) ?? [];
  return html`
    <${Steps} current=${4} links=${{ "step-data": dataset, "step-roles": dataset, "step-preview": dataset, "step-answer": "#answer", "step-compare": "#what-if", "step-share": "#share" }} />
    <${Annotation} analysisId=${report.analysis_id} />
    <${Summary} report=${report} />
    <${Failure} problem=${state.problem} />
    ${report.identification && html`<${Ledger} identification=${report.identification} onDeclare=${declare} busy=${state.busy} />`}
    <${Gates} gates=${report.gates} />
    ${report.findings.length > 0 &&
    html`<section aria-labelledby="findings-title"><h2 id="findings-title">${t("findings")}</h2>
      <${Findings} findings=${report.findings} busy=${state.busy} isApplied=${(parameters) => isRemedied(request, parameters)} onApply=${(parameters) => vary(remedied(request, parameters))} accepted=${report.options.accept ?? []} onAccept=${accept} />
    </section>`}
    <${Figures} report=${report} />
    <${WhatIf} report=${report} compared=${compared} />
    <section id="share" aria-labelledby="share-title">
      <h2 id="share-title">${t("step-share")}</h2>
      <${Exports} path=${`/api/analyses/${id(report.analysis_id)}/export`} file=${fileName(report)} />
      <${Shares} analysisId=${report.analysis_id} />
    </section>
    <${Details} report=${report} />
  `;
}

/** Beginning of the names of files that are saved from a report. */
export const fileName = (report) => `cqox-${report.analysis_id.slice(0, 8)}`;

/** The answer in one sentence, with the numbers of a decision. */
export function Summary({ report }) {
  useStore(labels);
  useEffect(() => void loadLabels(), [currentLanguage()]);
  const { decision, effect } = report;
  return html`<section id="answer" aria-label=${t("step-answer")}>
    <${Heading} title=${decision.headline ?? t("step-answer")}>${decision.headline ?? t("step-answer")}<//>
    <p class="verdict"><${Badge} large state=${decision.verdict} text=${decision.verdict} /> <span>${t(VERDICTS[decision.verdict])}</span></p>
    ${effect && html`<${Effect} effect=${effect} level=${1 - report.options.alpha} />`}
    <ul>${decision.reasons.map((reason) => html`<li>${reason}</li>`)}</ul>
    <p class="muted">${decision.primary ? t("primary", { name: estimatorLabel(decision.primary) }) : t("primary-none")} ${decision.primary_rule}</p>
  </section>`;
}

function Effect({ effect, level }) {
  const interval = (lower, upper, format) => (lower === null || upper === null ? null : t("interval-of", { level: percent(level, 1), lower: format(lower), upper: format(upper) }));
  const facts = [
    [t("effect-on", { outcome: effect.outcome ?? t("role-y") }), number(effect.estimate), interval(effect.lower, effect.upper, number)],
    effect.relative === null
      ? [t("effect-relative"), "–", effect.relative_reason]
      : [t("effect-relative"), signedPercent(effect.relative), interval(effect.relative_lower, effect.relative_upper, signedPercent)],
    effect.total !== null && [t("effect-total", { rows: effect.total_rows }), number(effect.total), interval(effect.total_lower, effect.total_upper, number)],
    effect.total === null && effect.total_reason && [t("effect-no-total"), "–", effect.total_reason],
    effect.net_of_cost !== null && [t("effect-net"), number(effect.net_of_cost), interval(effect.net_lower, effect.net_upper, number)],
    effect.baseline !== null && [t("effect-baseline"), number(effect.baseline), null],
  ].filter(Boolean);
  return html`<dl class="facts">${facts.map(([name, value, more]) => html`<div><dt>${name}</dt><dd><span class="value">${value}</span>${more && html`<span class="muted">${more}</span>`}</dd></div>`)}</dl>`;
}

/** The figure of the design first; the rest when asked for. */
export function Figures({ report, prefix }) {
  const [all, setAll] = useState(false);
  const names = Object.keys(report.figures);
  if (names.length === 0) return null;
  const wanted = FIRST_FIGURES[report.identification?.design] ?? [];
  const first = wanted.find((name) => names.includes(name)) ?? names[0];
  const shown = all ? [first, ...names.filter((name) => name !== first)] : [first];
  const address = (name) => (prefix ? `${prefix}/figures/${name}.svg` : report.figures[name]);
  return html`<section aria-labelledby="figures-title">
    <h2 id="figures-title">${t("figures")}</h2>
    <div class="figures">${shown.map((name) => html`<${Figure} key=${name} name=${name} address=${address(name)} title=${figureName(name)} file=${fileName(report)} />`)}</div>
    ${!all && names.length > 1 && html`<p><button type="button" onClick=${() => setAll(true)}>${t("more-figures", { count: names.length - 1 })}</button></p>`}
  </section>`;
}

/** Every estimate, note and warning, and where the numbers come from. */
export function Details({ report }) {
  useStore(labels);
  const computed = report.estimates.filter((each) => each.estimate !== null);
  const others = report.estimates.filter((each) => each.estimate === null);
  const { provenance } = report;
  return html`<section aria-labelledby="details-title">
    <h2 id="details-title">${t("details")}</h2>
    <details>
      <summary>${t("estimates-count", { count: computed.length })}</summary>
      <p class="muted">${report.decision.note}</p>
      <${Table} wide caption=${t("estimates")} head=${[t("estimator"), t("estimand"), t("estimate"), t("standard-error"), t("interval"), t("p-value"), t("rows")]}>
        ${computed.map(
          (each) => html`<tr class=${each.name === report.decision.primary ? "chosen" : ""}>
            <th scope="row">${estimatorLabel(each.name)}${each.contrast ? html` <bdi>${each.contrast}</bdi>` : ""}${each.name === report.decision.primary ? ` (${t("primary-short")})` : ""}</th>
            <td>${each.estimand}</td>
            <td class="number">${number(each.estimate)}</td>
            <td class="number">${each.standard_error === null ? "–" : number(each.standard_error)}</td>
            <td class="number">${each.ci_lower === null ? "–" : `${number(each.ci_lower)} – ${number(each.ci_upper)}`}</td>
            <td class="number">${each.p_value === null ? "–" : number(each.p_value, 2)}</td>
            <td class="number">${each.n === null ? "–" : number(each.n)}</td>
          </tr>`,
        )}
      <//>
    </details>
    ${others.length > 0 && html`<details><summary>${t("not-computed", { count: others.length })}</summary><${Long} items=${others.map((each) => html`<strong>${estimatorLabel(each.name)}</strong> ${each.reason}`)} /></details>`}
    ${report.errors.length > 0 && html`<details open><summary>${t("errors", { count: report.errors.length })}</summary><${Long} items=${report.errors} /></details>`}
    ${report.warnings.length > 0 && html`<details><summary>${t("warnings", { count: report.warnings.length })}</summary><${Long} items=${report.warnings} /></details>`}
    ${report.notes.length > 0 && html`<details><summary>${t("notes-count", { count: report.notes.length })}</summary><${Long} items=${report.notes} /></details>`}
    <details>
      <summary>${t("provenance")}</summary>
      <dl class="pairs">
        <dt>${t("analysis-id")}</dt><dd><code>${report.analysis_id}</code></dd>
        <dt>${t("rows")}</dt><dd>${t("rows-kept-of", { kept: provenance.rows_used, read: provenance.rows })}</dd>
        <dt>${t("code-version")}</dt><dd><code>${provenance.code_version}</code></dd>
        <dt>${t("data-digest")}</dt><dd><code>${provenance.dataset_digest}</code></dd>
        <dt>${t("seed")}</dt><dd>${provenance.seed}</dd>
        ${provenance.engine && html`<dt>${t("engine")}</dt><dd>${provenance.engine}</dd>`}
        ${provenance.folds_version && html`<dt>${t("folds-version")}</dt><dd>${provenance.folds_version}</dd>`}
      </dl>
    </details>
  </section>`;
}

/** A list that begins short. */
function Long({ items }) {
  const [all, setAll] = useState(false);
  return html`<ul>${(all ? items : items.slice(0, SHOWN)).map((item) => html`<li>${item}</li>`)}</ul>
    ${!all && items.length > SHOWN && html`<p><button type="button" class="plain" onClick=${() => setAll(true)}>${t("show-all", { count: items.length })}</button></p>`}`;
}
