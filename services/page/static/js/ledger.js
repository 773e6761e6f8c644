// What must be true for the number to be an effect, what backs it, and the checks that the verdict rests on.
import { html, useState } from "./lib.js";
import { Badge } from "./parts.js";
import { t } from "./text.js";

const STATUSES = { contradicted: "status-contradicted", untested: "status-untested", declared: "status-declared", supported: "status-supported" };
const ORDER = ["contradicted", "untested", "declared", "supported"];
const GATE_STATES = { fail: "gate-fail", warn: "gate-warn", pass: "gate-pass", not_applicable: "gate-not-applicable" };
const DECLARED_BY_ASSIGNMENT = ["randomized", "unconfounded"];

/** The assumption ledger; `onDeclare` answers again with one assumption vouched for. */
export function Ledger({ identification, onDeclare, busy }) {
  const assumptions = [...identification.assumptions].sort((one, other) => rank(one) - rank(other));
  return html`<section aria-labelledby="ledger">
    <h2 id="ledger">${t("ledger")}</h2>
    <p>${identification.statement}</p>
    <ul class="ledger">
      ${assumptions.map((assumption) => html`<${Assumption} assumption=${assumption} onDeclare=${onDeclare} busy=${busy} />`)}
    </ul>
  </section>`;
}

const rank = (assumption) => ORDER.indexOf(assumption.status) - (assumption.caps && assumption.status === "untested" ? 0.5 : 0);

function Assumption({ assumption, onDeclare, busy }) {
  const { name, statement, status, caps, evidence, remedy } = assumption;
  const open = status === "contradicted" || (status === "untested" && caps);
  // Next to a button the sentence speaks of the button; the one of the API names its options.
  const vouched = status === "untested" && remedy ? REMEDIES[name] : undefined;
  return html`<li class=${status === "untested" && !caps ? "aside" : status}>
    <p><${Badge} state=${status === "untested" && !caps ? "not_applicable" : status} text=${t(STATUSES[status])} /> <strong>${statement}</strong></p>
    ${open && status === "untested" && html`<p class="muted">${t("ledger-caps")}</p>`}
    ${evidence.length > 0 &&
    html`<details open=${open}><summary>${t("evidence", { count: evidence.length })}<span class="hidden"> ${statement}</span></summary><ul>${evidence.map((each) => html`<li>${each}</li>`)}</ul></details>`}
    ${remedy && html`<p class="remedy"><strong>${t("what-to-do")}</strong> ${vouched ? t(vouched) : remedy}</p>`}
    ${onDeclare &&
    vouched &&
    html`<p class="actions"><button type="button" disabled=${busy} onClick=${() => onDeclare(name)}>${t(DECLARED_BY_ASSIGNMENT.includes(name) ? "declare-assignment" : "declare")}<span class="hidden"> ${statement}</span></button></p>`}
  </li>`;
}

/** The gates as lights: what stops and what warns in full, what passes by name. */
export function Gates({ gates }) {
  const [all, setAll] = useState(false);
  const entries = Object.entries(gates);
  const of = (status) => entries.filter(([, gate]) => gate.status === status);
  const [failing, warning, passing, others] = [of("fail"), of("warn"), of("pass"), of("not_applicable")];
  return html`<section aria-labelledby="gates">
    <h2 id="gates">${t("gates")}</h2>
    <p>${t("gates-lead", { pass: passing.length, warn: warning.length, fail: failing.length })}</p>
    ${failing.length + warning.length > 0 && html`<ul class="gates">${[...failing, ...warning].map(([name, gate]) => html`<${Gate} name=${name} gate=${gate} />`)}</ul>`}
    <ul class="gates passing">
      ${passing.map(([name, gate]) => html`<li class="pass"><details><summary><${Badge} state="pass" text=${t("gate-pass")} /> <strong>${gateName(name)}</strong></summary><p>${gate.reason}</p><p class="muted">${gate.rule}</p></details></li>`)}
    </ul>
    ${others.length > 0 &&
    html`<p><button type="button" class="plain" aria-expanded=${all} onClick=${() => setAll(!all)}>${t("gates-others", { count: others.length })}</button></p>`}
    ${all && html`<ul class="gates">${others.map(([name, gate]) => html`<li><strong>${gateName(name)}</strong> <span class="muted">${gate.reason ?? gate.rule}</span></li>`)}</ul>`}
  </section>`;
}

const gateName = (name) => GATES[name] ? t(GATES[name]) : name.replaceAll("_", " ");

function Gate({ name, gate }) {
  const measured = gate.value !== null && gate.threshold !== null;
  return html`<li class=${gate.status}>
    <p><${Badge} state=${gate.status} text=${t(GATE_STATES[gate.status])} /> <strong>${gateName(name)}</strong></p>
    <p>${gate.reason}</p>
    <details><summary>${t("gate-rule")}<span class="hidden"> ${gateName(name)}</span></summary><p>${gate.rule}</p>${measured && html`<p class="muted">${t("gate-value", { value: gate.value, threshold: gate.threshold })}</p>`}</details>
  </li>`;
}

const GATES = {
  computation: "gate-computation",
  design: "gate-design",
  primary_warnings: "gate-primary-warnings",
  missingness: "gate-missingness",
  bad_controls: "gate-bad-controls",
  overlap: "gate-overlap",
  balance: "gate-balance",
  effective_sample_size: "gate-effective-sample-size",
  arm_rows: "gate-arm-rows",
  clusters: "gate-clusters",
  tails: "gate-tails",
  instrument_strength: "gate-instrument-strength",
  negative_weights: "gate-negative-weights",
  pre_trends: "gate-pre-trends",
  manipulation: "gate-manipulation",
  covariate_continuity: "gate-covariate-continuity",
  placebo_cutoffs: "gate-placebo-cutoffs",
  polynomial_order: "gate-polynomial-order",
  bandwidth_sensitivity: "gate-bandwidth-sensitivity",
  donor_fit: "gate-donor-fit",
  serial_dependence: "gate-serial-dependence",
  precision: "gate-precision",
  agreement: "gate-agreement",
  curvature: "gate-curvature",
  robustness: "gate-robustness",
};

// What can be vouched for.
const REMEDIES = {
  randomized: "remedy-randomized",
  unconfounded: "remedy-unconfounded",
  no_interference: "remedy-no-interference",
  exclusion: "remedy-exclusion",
  monotonicity: "remedy-monotonicity",
  no_manipulation: "remedy-no-manipulation",
  continuity: "remedy-continuity",
  parallel_trends: "remedy-parallel-trends",
  no_anticipation: "remedy-no-anticipation",
  no_feedback: "remedy-no-feedback",
  donor_match: "remedy-donor-match",
  no_concurrent_event: "remedy-no-concurrent-event",
  stable_trend: "remedy-stable-trend",
  logged_propensities: "remedy-logged-propensities",
  no_unlogged_context: "remedy-no-unlogged-context",
  transportable: "remedy-transportable",
  sequential_ignorability: "remedy-sequential-ignorability",
  proxy_exclusion: "remedy-proxy-exclusion",
  exposure_mapping: "remedy-exposure-mapping",
};
