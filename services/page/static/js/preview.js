// What would come of it: rows kept and dropped, the arms, the design in words, and what could be detected.
import { asProblem, call, isAbort } from "./api.js";
import { Findings } from "./data.js";
import { requestOf } from "./draft.js";
import { html, pause, useEffect, useState } from "./lib.js";
import { Busy, Failure, Table } from "./parts.js";
import { roleName } from "./roles.js";
import { currentLanguage, number, percent, signedPercent, t } from "./text.js";

/** Pairs of roles of which one must be complete: they say who was treated. */
const DEFINE_TREATMENT = [["y", "treatment"], ["y", "running", "cutoff"], ["y", "time", "cohort"], ["y", "time", "intervention_time"], ["action", "reward"]];

/** Whether the mapped roles make a question. */
export const isAnswerable = (mapping) => DEFINE_TREATMENT.some((roles) => roles.every((role) => (mapping[role] ?? "") !== ""));

const SETTLE_MILLISECONDS = 400;

export function Preview({ datasetId, draft, blocking, onApply, isApplied, isAllowed = () => true }) {
  const [state, setState] = useState({});
  const [turn, setTurn] = useState(0);
  const body = JSON.stringify(requestOf(datasetId, draft));
  const ready = isAnswerable(draft.mapping) && !blocking;
  useEffect(() => {
    if (!ready) return setState({});
    const stop = new AbortController();
    const load = async () => {
      try {
        await pause(SETTLE_MILLISECONDS, stop.signal);
        setState((before) => ({ ...before, busy: true }));
        const preview = await call("/api/analyze/preview", { method: "POST", json: JSON.parse(body), signal: stop.signal, repeatable: true });
        setState({ preview });
      } catch (error) {
        if (!isAbort(error)) setState({ problem: asProblem(error) });
      }
    };
    load();
    return () => stop.abort();
  }, [body, ready, turn, currentLanguage()]);
  return html`<section id="preview" aria-labelledby="preview-title" aria-busy=${Boolean(state.busy)}>
    <h2 id="preview-title">${t("step-preview")}</h2>
    ${!ready && !blocking && html`<p>${t("run-needs-roles")}</p>`}
    ${blocking && html`<${Findings} findings=${[blocking]} isApplied=${isApplied} onApply=${onApply} />`}
    ${ready && !state.problem && (state.busy || !state.preview) && html`<${Busy} text=${t("preview-loading")} />`}
    <${Failure} problem=${state.problem} again=${() => setTurn(turn + 1)} />
    ${state.preview && html`<${Shown} preview=${state.preview} onApply=${onApply} isApplied=${isApplied} isAllowed=${isAllowed} />`}
  </section>`;
}

function Shown({ preview, onApply, isApplied, isAllowed }) {
  const main = preview.contrasts[preview.main];
  const { rows, power } = main;
  const findings = preview.findings.map((finding) => (finding.remedy && !isAllowed(finding.remedy.parameters) ? { ...finding, remedy: null } : finding));
  const [running, skipped] = [main.estimators.filter((each) => each.runs), main.estimators.filter((each) => !each.runs)];
  return html`
    <p class="statement">${main.statement}</p>
    ${preview.sample && html`<p>${t("preview-sample", { rows: preview.sample.rows, of: preview.sample.of })}</p>`}
    ${preview.contrasts.length > 1 && html`<p class="muted">${t("preview-contrasts", { count: preview.contrasts.length, contrast: main.contrast ?? "" })}</p>`}
    <dl class="facts">
      <div><dt>${t("rows-kept")}</dt><dd>${t("rows-kept-of", { kept: rows.kept, read: rows.read })}</dd></div>
      ${power.effect !== null && html`<div><dt>${t("detectable")}</dt><dd>${number(Math.abs(power.effect))}${power.relative !== null ? ` (${signedPercent(power.relative)})` : ""}</dd></div>`}
      <div><dt>${t("estimators-planned")}</dt><dd>${number(running.length)}</dd></div>
    </dl>
    <p>${power.headline ?? (power.reason ? t("detectable-unknown", { reason: power.reason }) : "")}</p>
    ${power.minimum_message && html`<p class=${power.minimum_detectable === false ? "note" : ""}>${power.minimum_message}</p>`}
    <${Findings} findings=${findings} isApplied=${isApplied} onApply=${onApply} />
    ${rows.reasons.length > 0 &&
    html`<h3>${t("rows-dropped")}</h3>
      <ul>${rows.reasons.map((reason) => html`<li>${reason.message}</li>`)}</ul>`}
    ${main.arms.length > 0 &&
    html`<${Table} caption=${t("arms")} head=${[t("arm"), t("rows"), t("share-column"), t("units")]}>
      ${main.arms.map((arm) => html`<tr><th scope="row"><bdi>${arm.level}</bdi>${arm.treated === true ? ` (${t("treated")})` : arm.treated === false ? ` (${t("control")})` : ""}</th><td class="number">${number(arm.rows)}</td><td class="number">${percent(arm.share)}</td><td class="number">${arm.units === null ? "–" : number(arm.units)}</td></tr>`)}
    <//>`}
    <details>
      <summary>${t("preview-more")}</summary>
      <p>${t("preview-primary", { rule: main.primary_rule })}</p>
      <ul>${Object.entries(preview.mapping).map(([role, value]) => html`<li>${roleName(role)}: <bdi>${[].concat(value).join(", ")}</bdi></li>`)}</ul>
      ${power.method && html`<p class="muted">${power.method}</p>`}
      ${(power.assumptions ?? []).length > 0 && html`<ul class="muted">${power.assumptions.map((each) => html`<li>${each}</li>`)}</ul>`}
      ${preview.notes.map((note) => html`<p class="muted">${note}</p>`)}
      ${skipped.length > 0 && html`<p>${t("estimators-skipped", { count: skipped.length })}</p>`}
    </details>
  `;
}
