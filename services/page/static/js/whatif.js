// What if: the same question asked otherwise, next to the first answer, with the number of looks in view.
import { asProblem, call, id } from "./api.js";
import { placeOf, requestOf, startJob } from "./draft.js";
import { estimatorLabel, labels } from "./labels.js";
import { html, useEffect, useState } from "./lib.js";
import { Badge, Busy, Failure, Progress, Table, useLoaded, useStore } from "./parts.js";
import { columnsOf } from "./place.js";
import { Columns, Goal } from "./roles.js";
import { go } from "./route.js";
import { useJob } from "./run.js";
import { number, signedPercent, t } from "./text.js";

const MOST = 4;

export function WhatIf({ report, compared }) {
  const path = `/a/${id(report.analysis_id)}`;
  const [open, setOpen] = useState(compared.length > 0);
  const show = (ids) => go(ids.length ? `${path}?with=${ids.map(id).join(",")}` : path, { replace: true });
  return html`<section id="what-if" aria-labelledby="what-if-title">
    <h2 id="what-if-title">${t("step-compare")}</h2>
    <p>${t("what-if-lead")}</p>
    <${Looks} report=${report} compared=${compared} />
    ${compared.length > 0 && html`<${SideBySide} report=${report} compared=${compared} onRemove=${(gone) => show(compared.filter((each) => each !== gone))} />`}
    ${open ? html`<${Variation} report=${report} onReport=${(found) => show([...compared.filter((each) => each !== found), found].slice(-MOST))} />` : html`<p><button type="button" onClick=${() => setOpen(true)}>${t("what-if-open")}</button></p>`}
  </section>`;
}

/** How often this was asked: with every look the chance of a difference by accident grows. */
function Looks({ report, compared }) {
  const { value } = useLoaded((signal) => call(`/api/datasets/${id(report.dataset_id)}/looks`, { signal }), [report.analysis_id, compared.join()], { spoken: false });
  if (!value) return null;
  const { y, treatment } = report.mapping;
  const same = value.questions.find((each) => each.outcome === (y ?? null) && each.treatment === (treatment ?? null))?.analyses ?? 1;
  return html`<p class=${same > 1 ? "note" : "muted"} role="status">${t("looks", { same, dataset: value.analyses })} ${same > 1 ? t("looks-meaning") : ""}</p>`;
}

/** The columns of the data; of a table in place, as its source has them now. */
async function columnsToChoose(datasetId, signal) {
  const place = placeOf(datasetId);
  return place ? { columns: (await columnsOf(place, signal)).usable } : call(`/api/datasets/${id(datasetId)}`, { signal });
}

function Variation({ report, onReport }) {
  const { value: described, problem, again } = useLoaded((signal) => columnsToChoose(report.dataset_id, signal), [report.dataset_id]);
  const [draft, setDraft] = useState({ mapping: report.mapping, options: report.options });
  const [state, setState] = useState({});
  const job = useJob(state.jobId, (analysisId) => {
    setState(analysisId === report.analysis_id ? { same: true } : {});
    if (analysisId !== report.analysis_id) onReport(analysisId);
  });
  useEffect(() => {
    if (job.job?.status === "cancelled") setState({});
    else if (job.job) setState({ problem: job.job.problem ?? { title: t("run-failed"), detail: t("run-interrupted-help") } });
    if (job.problem) setState({ problem: job.problem });
  }, [job.job, job.problem]);
  if (problem) return html`<${Failure} problem=${problem} again=${again}><span>${problem.status === 404 ? t("what-if-no-data") : ""}</span><//>`;
  if (!described) return html`<${Busy} />`;
  const set = (name, value) => setDraft({ ...draft, options: { ...draft.options, [name]: value } });
  const map = (role, value) => setDraft({ ...draft, mapping: { ...draft.mapping, [role]: value } });
  const run = async () => {
    setState({ busy: true });
    try {
      setState({ busy: true, jobId: (await startJob(call, requestOf(report.dataset_id, draft))).job_id });
    } catch (error) {
      setState({ problem: asProblem(error) });
    }
  };
  const cancel = async () => {
    setState({ ...state, ending: true });
    try {
      await call(`/api/jobs/${id(state.jobId)}`, { method: "DELETE" });
    } catch (error) {
      setState({ ...state, problem: asProblem(error) });
    }
  };
  const outcomes = described.columns.filter((column) => ["binary", "count", "real"].includes(column.kind) || column.name === draft.mapping.y);
  return html`<div class="card">
    ${draft.mapping.y &&
    html`<p>
      <label for="what-if-y">${t("role-y")}</label>
      <select id="what-if-y" value=${draft.mapping.y} onChange=${(event) => map("y", event.target.value)}>${outcomes.map((column) => html`<option value=${column.name}>${column.name}</option>`)}</select>
    </p>`}
    <fieldset>
      <legend>${t("role-covariates")}</legend>
      <p class="hidden" id="help-what-if">${t("role-covariates-help")}</p>
      <${Columns} name="what-if" title=${t("role-covariates")} value=${draft.mapping.covariates ?? []} columns=${described.columns.filter((column) => column.name !== draft.mapping.y && column.name !== draft.mapping.treatment)} onPut=${(value) => map("covariates", value)} />
    </fieldset>
    <${Goal} options=${draft.options} onChange=${set} />
    ${state.same && html`<p role="status" class="note">${t("what-if-same")}</p>`}
    <${Failure} problem=${state.problem} />
    ${state.busy && html`<${Progress} share=${job.planned ? (job.done ?? 0) / job.planned : null} label=${t("run-title")} />`}
    <p class="actions"><button type="button" class="primary" disabled=${state.busy} onClick=${run}>${state.busy ? t("run-title") : t("what-if-run")}</button>
      ${state.jobId && html`<button type="button" disabled=${state.ending} onClick=${cancel}>${t("run-cancel")}</button>`}</p>
  </div>`;
}

function SideBySide({ report, compared, onRemove }) {
  useStore(labels);
  const { value, problem, again } = useLoaded(
    (signal) => Promise.all(compared.map((each) => call(`/api/analyses/${id(each)}`, { signal }).catch((error) => ({ missing: asProblem(error), analysis_id: each })))),
    [compared.join()],
  );
  if (problem) return html`<${Failure} problem=${problem} again=${again} />`;
  if (!value) return html`<${Busy} />`;
  const reports = [report, ...value];
  const line = (name, cell) => html`<tr><th scope="row">${name}</th>${reports.map((each) => html`<td>${each.missing ? "–" : cell(each)}</td>`)}</tr>`;
  return html`<${Table} wide caption=${t("compared")} head=${["", t("this-answer"), ...value.map((_, place) => t("other-answer", { number: place + 1 }))]}>
    ${line(t("changed"), (each) => (each === report ? "–" : html`<${Changes} from=${report} to=${each} />`))}
    ${line(t("verdict"), (each) => html`<${Badge} state=${each.decision.verdict} text=${each.decision.verdict} />`)}
    ${line(t("estimate"), (each) => number(each.effect?.estimate))}
    ${line(t("interval"), (each) => (each.effect?.lower === null || !each.effect ? "–" : `${number(each.effect.lower)} – ${number(each.effect.upper)}`))}
    ${line(t("effect-relative"), (each) => (each.effect?.relative === null || !each.effect ? "–" : signedPercent(each.effect.relative)))}
    ${line(t("estimator"), (each) => (each.decision.primary ? estimatorLabel(each.decision.primary) : "–"))}
    ${line(t("answer-short"), (each) => each.decision.headline)}
    <tr>
      <th scope="row"><span class="hidden">${t("actions")}</span></th>
      <td></td>
      ${value.map((each, place) => html`<td>${!each.missing && html`<a href=${`/a/${id(each.analysis_id)}`}>${t("open-answer")}<span class="hidden"> ${place + 1}</span></a> `}<button type="button" class="plain" onClick=${() => onRemove(each.analysis_id)}>${t("remove")}<span class="hidden"> ${place + 1}</span></button></td>`)}
    </tr>
  <//>`;
}

/** What differs between two requests, as names and values. */
function Changes({ from, to }) {
  const differences = [];
  for (const part of ["mapping", "options"]) {
    for (const name of new Set([...Object.keys(from[part]), ...Object.keys(to[part])])) {
      const [before, after] = [from[part][name], to[part][name]];
      if (JSON.stringify(before) === JSON.stringify(after)) continue;
      if (Array.isArray(before ?? []) && Array.isArray(after ?? [])) {
        const added = (after ?? []).filter((each) => !(before ?? []).some((other) => JSON.stringify(other) === JSON.stringify(each)));
        const removed = (before ?? []).filter((each) => !(after ?? []).some((other) => JSON.stringify(other) === JSON.stringify(each)));
        differences.push([name, [...added.map((each) => `+ ${shown(each)}`), ...removed.map((each) => `− ${shown(each)}`)].join(", ")]);
      } else differences.push([name, `${shown(before)} → ${shown(after)}`]);
    }
  }
  if (differences.length === 0) return t("nothing-changed");
  return html`<ul class="small">${differences.map(([name, text]) => html`<li>${LABELS[name] ? t(LABELS[name]) : name}: <bdi>${text}</bdi></li>`)}</ul>`;
}

const LABELS = { y: "role-y", treatment: "role-treatment", covariates: "role-covariates", minimum_effect: "minimum-effect", alpha: "alpha", better: "better", assignment: "assignment" };

const shown = (value) => (value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));
