// What the columns mean: a card for each role, with the reasons of what is suggested, and how treatment was assigned.
import { kindName } from "./data.js";
import { html, useMemo, useState } from "./lib.js";
import { t } from "./text.js";

/** Roles by their place on the page, with the codes of their names and explanations. */
const ROLES = [
  ["y", "role-y", "role-y-help"],
  ["treatment", "role-treatment", "role-treatment-help"],
  ["unit_id", "role-unit-id", "role-unit-id-help"],
  ["time", "role-time", "role-time-help"],
  ["covariates", "role-covariates", "role-covariates-help", "columns"],
  ["cohort", "role-cohort", "role-cohort-help"],
  ["cluster", "role-cluster", "role-cluster-help", "columns"],
  ["fixed_effects", "role-fixed-effects", "role-fixed-effects-help", "columns"],
  ["weights", "role-weights", "role-weights-help"],
  ["instrument", "role-instrument", "role-instrument-help", "columns"],
  ["running", "role-running", "role-running-help"],
  ["cutoff", "role-cutoff", "role-cutoff-help", "scalar"],
  ["post", "role-post", "role-post-help"],
  ["intervention_time", "role-intervention-time", "role-intervention-time-help", "scalar"],
  ["proxy_outcome", "role-proxy-outcome", "role-proxy-outcome-help", "columns"],
  ["proxy_treatment", "role-proxy-treatment", "role-proxy-treatment-help", "columns"],
  ["pscore", "role-pscore", "role-pscore-help"],
  ["propensity_covariates", "role-propensity-covariates", "role-propensity-covariates-help", "columns"],
  ["mediator", "role-mediator", "role-mediator-help", "columns"],
  ["dose", "role-dose", "role-dose-help"],
  ["neighbor_exposure", "role-neighbor-exposure", "role-neighbor-exposure-help"],
  ["latitude", "role-latitude", "role-latitude-help"],
  ["longitude", "role-longitude", "role-longitude-help"],
  ["edges", "role-edges", "role-edges-help"],
  ["sample", "role-sample", "role-sample-help"],
  ["cost", "role-cost", "role-cost-help"],
  ["action", "role-action", "role-action-help"],
  ["reward", "role-reward", "role-reward-help"],
  ["target_policy", "role-target-policy", "role-target-policy-help", "columns"],
  ["log_propensity", "role-log-propensity", "role-log-propensity-help"],
];

const ALWAYS = ["y", "treatment", "unit_id", "time", "covariates"];
/** Roles whose columns may be covariates as well. */
const SHARED = ["cluster", "fixed_effects", "propensity_covariates"];
const SHOWN_NAMES = 40;

const arity = ([, , , kind]) => kind ?? "column";

/** The name of a role as people say it. */
export function roleName(role) {
  const known = ROLES.find(([name]) => name === role);
  return known ? t(known[1]) : role;
}

export function Roles({ described, inferred, draft, onChange }) {
  const [added, setAdded] = useState([]);
  const { mapping, options } = draft;
  const shown = ROLES.filter(([role]) => ALWAYS.includes(role) || role in mapping || added.includes(role));
  const others = ROLES.filter((role) => !shown.includes(role));
  const put = (role, value) => {
    const next = { ...mapping };
    if (value === null || value.length === 0) delete next[role];
    else next[role] = value;
    // A column that gets a role of its own is no covariate any more.
    if (role !== "covariates" && !SHARED.includes(role) && value !== null && Array.isArray(next.covariates)) {
      next.covariates = next.covariates.filter((name) => !(Array.isArray(value) ? value.includes(name) : name === value));
    }
    onChange({ mapping: next, options });
  };
  const set = (name, value) => onChange({ mapping, options: { ...options, [name]: value } });
  const assign = (value) => {
    const share = value === "randomized" ? options.expected_share : null;
    onChange({ mapping, options: { ...options, assignment: value === "unknown" ? null : value, expected_share: share } });
  };
  return html`<section id="roles" aria-labelledby="roles-title">
    <h2 id="roles-title">${t("step-roles")}</h2>
    <p>${t("roles-lead")}</p>
    <div class="roles">
      ${shown.map((role) => html`<${Card} key=${role[0]} role=${role} value=${mapping[role[0]]} described=${described} candidates=${inferred.candidates[role[0]] ?? []} others=${role[0] === "covariates" ? [mapping.y, mapping.treatment] : []} onPut=${(value) => put(role[0], value)} />`)}
    </div>
    <p>
      <label for="more-roles">${t("more-roles")}</label>
      <select id="more-roles" value="" onChange=${(event) => event.target.value && setAdded([...added, event.target.value])}>
        <option value="">${t("choose")}</option>
        ${others.map(([role, name]) => html`<option value=${role}>${t(name)}</option>`)}
      </select>
    </p>
    ${inferred.notes.map((note) => html`<p class="muted">${note}</p>`)}
    <${Assignment} value=${options.assignment ?? "unknown"} onChange=${assign}>
      ${options.assignment === "randomized" && html`<${PlannedShare} value=${options.expected_share} onChange=${(value) => set("expected_share", value)} />`}
    <//>
    <${Goal} options=${options} onChange=${set} />
  </section>`;
}

function Card({ role, value, described, candidates, others, onPut }) {
  const [name, title, help] = role;
  const kind = arity(role);
  const top = candidates.filter(({ column }) => (Array.isArray(value) ? !value.includes(column) : column !== value)).slice(0, 3);
  const chosen = candidates.filter(({ column }) => (Array.isArray(value) ? value.includes(column) : column === value));
  const add = (column) => onPut(kind === "columns" ? [...(value ?? []), column] : column);
  const drop = (event) => {
    event.preventDefault();
    const column = event.dataTransfer.getData("text/plain");
    if (kind !== "scalar" && described.columns.some((each) => each.name === column)) add(column);
  };
  return html`<div class=${`card role ${kind === "columns" ? "wide" : ""}`} onDragOver=${(event) => event.preventDefault()} onDrop=${drop}>
    <h3><label for=${`role-${name}`}>${t(title)}</label></h3>
    <p class="muted" id=${`help-${name}`}>${t(help)}</p>
    ${kind === "columns"
      ? html`<${Columns} name=${name} title=${t(title)} value=${value ?? []} columns=${described.columns.filter((column) => !others.includes(column.name))} onPut=${onPut} />`
      : kind === "scalar"
        ? html`<input id=${`role-${name}`} aria-describedby=${`help-${name}`} value=${value ?? ""} onChange=${(event) => onPut(scalar(event.target.value))} />`
        : html`<select id=${`role-${name}`} aria-describedby=${`help-${name}`} value=${value ?? ""} onChange=${(event) => onPut(event.target.value || null)}>
            <option value="">${t("no-column")}</option>
            ${described.columns.map((column) => html`<option value=${column.name}>${column.name} (${kindName(column.kind)})</option>`)}
          </select>`}
    ${kind === "column" && chosen.map((candidate) => html`<${Reasons} candidate=${candidate} />`)}
    ${kind === "column" &&
    top.length > 0 &&
    html`<p class="small">
      ${value ? t("or-rather") : t("suggested")}
      ${top.map(({ column, confidence }) => html` <button type="button" class="chip" draggable="true" onDragStart=${(event) => event.dataTransfer.setData("text/plain", column)} title=${confidenceName(confidence)} onClick=${() => add(column)}><bdi>${column}</bdi></button>`)}
    </p>`}
  </div>`;
}

const scalar = (text) => {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  return Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
};

const confidenceName = (value) => t(value >= 0.9 ? "confidence-high" : value >= 0.6 ? "confidence-medium" : "confidence-low");

function Reasons({ candidate }) {
  return html`<details class="small"><summary>${t("why-suggested", { confidence: confidenceName(candidate.confidence) })}</summary><ul>${candidate.reasons.map((reason) => html`<li>${reason}</li>`)}</ul></details>`;
}

/** Several columns as check boxes; with many, those that contain what is typed. */
export function Columns({ name, title, value, columns, onPut }) {
  const [filter, setFilter] = useState("");
  const found = useMemo(() => {
    const wanted = filter.trim().toLowerCase();
    const matching = wanted === "" ? columns : columns.filter((column) => column.name.toLowerCase().includes(wanted));
    // Chosen ones first, as they are when the list is made: nothing moves under the pointer, and the focus stays.
    const first = matching.filter((column) => value.includes(column.name));
    return [...first, ...matching.filter((column) => !value.includes(column.name))];
  }, [filter, columns.map((column) => column.name).join("\n")]);
  const toggle = (column, on) => onPut(on ? [...value, column] : value.filter((each) => each !== column));
  return html`<div id=${`role-${name}`} role="group" aria-label=${title} aria-describedby=${`help-${name}`}>
    ${columns.length > 12 && html`<p><input type="search" value=${filter} aria-label=${t("filter-columns", { name: title })} placeholder=${t("filter")} onInput=${(event) => setFilter(event.target.value)} /></p>`}
    <ul class="checks">
      ${found.slice(0, SHOWN_NAMES).map(
        (column) => html`<li key=${column.name}><label draggable="true" onDragStart=${(event) => event.dataTransfer.setData("text/plain", column.name)}><input type="checkbox" checked=${value.includes(column.name)} onChange=${(event) => toggle(column.name, event.target.checked)} /> <bdi>${column.name}</bdi></label></li>`,
      )}
    </ul>
    ${found.length > SHOWN_NAMES && html`<p class="muted small">${t("more-columns-filter", { count: found.length - SHOWN_NAMES })}</p>`}
    <p class="small muted" role="status">${t("columns-chosen", { count: value.length })}</p>
  </div>`;
}

const ASSIGNMENTS = [
  ["randomized", "assignment-randomized", "assignment-randomized-help"],
  ["unconfounded", "assignment-unconfounded", "assignment-unconfounded-help"],
  ["unknown", "assignment-unknown", "assignment-unknown-help"],
];

function Assignment({ value, onChange, children }) {
  return html`<fieldset>
    <legend>${t("assignment")}</legend>
    ${ASSIGNMENTS.map(
      ([name, title, help]) => html`<p class="choice"><label><input type="radio" name="assignment" value=${name} checked=${value === name} onChange=${() => onChange(name)} /> <strong>${t(title)}</strong> <span class="muted">${t(help)}</span></label></p>`,
    )}
    ${children}
  </fieldset>`;
}

/** The share that was to be treated, in percent; shares by level are kept as a client of the API has set them. */
function PlannedShare({ value, onChange }) {
  if (typeof value === "object" && value !== null) return null;
  const change = (event) => {
    const share = Number(event.target.value) / 100;
    onChange(event.target.value === "" || !Number.isFinite(share) ? null : share);
  };
  return html`<p>
    <label for="expected-share">${t("planned-share")}</label>
    <input id="expected-share" type="number" step="any" min="0" max="100" value=${value == null ? "" : Number((100 * value).toPrecision(12))} aria-describedby="help-expected-share" onChange=${change} />
    <span class="muted" id="help-expected-share">${t("planned-share-help")}</span>
  </p>`;
}

/** Which effect is good, how large it must be, and how sure the interval. */
export function Goal({ options, onChange }) {
  const amount = (event, fallback) => {
    const value = Number(event.target.value);
    onChange(event.target.name, event.target.value === "" || !Number.isFinite(value) ? fallback : value);
  };
  return html`<fieldset>
    <legend>${t("goal")}</legend>
    <p>
      <label for="better">${t("better")}</label>
      <select id="better" value=${options.better ?? "higher"} onChange=${(event) => onChange("better", event.target.value === "higher" ? null : event.target.value)}>
        <option value="higher">${t("better-higher")}</option>
        <option value="lower">${t("better-lower")}</option>
      </select>
    </p>
    <p><label for="minimum-effect">${t("minimum-effect")}</label> <input id="minimum-effect" name="minimum_effect" type="number" step="any" value=${options.minimum_effect ?? ""} placeholder="0" onChange=${(event) => amount(event, null)} /> <span class="muted">${t("minimum-effect-help")}</span></p>
    <p>
      <label for="alpha">${t("alpha")}</label>
      <select id="alpha" name="alpha" value=${String(options.alpha ?? 0.05)} onChange=${(event) => onChange("alpha", event.target.value === "0.05" ? null : Number(event.target.value))}>
        ${["0.1", "0.05", "0.01"].map((level) => html`<option value=${level}>${t("alpha-interval", { level: 100 * (1 - Number(level)) })}</option>`)}
      </select>
    </p>
  </fieldset>`;
}
