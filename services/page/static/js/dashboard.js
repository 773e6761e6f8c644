// Dashboards: rows of panels over a time range, live, or one panel alone.
import { asProblem, call, id, isAbort } from "./api.js";
import { Bars, Legend, Lines, Numbers, States } from "./chart.js";
import { html, useEffect, useRef, useState } from "./lib.js";
import { Busy, Failure, Heading, Table, useLoaded, useStore } from "./parts.js";
import { endsOf, RangeChoice, rangeOf, rangeProblem } from "./range.js";
import { go, route } from "./route.js";
import { currentLanguage, moment, t } from "./text.js";
import { exactTime, withUnit } from "./units.js";

const REFRESHES = { 0: "refresh-off", 10: "refresh-10s", 30: "refresh-30s", 60: "refresh-1m" };

/** The address of the view with some of its choices changed. */
function address(board, query, changes = {}) {
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  const text = next.toString();
  return `/dashboard/${id(board)}${text ? `?${text}` : ""}`;
}

/** A count that grows with every refresh; it stands while nobody looks. */
function useTurns(seconds) {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (!seconds) return undefined;
    const timer = setInterval(() => document.hidden || setTurn((before) => before + 1), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
  return [turn, () => setTurn((before) => before + 1)];
}

export function Dashboards({ board }) {
  const { value, problem, again } = useLoaded((signal) => call("/api/dashboards", { signal }), []);
  const wanted = board ?? value?.dashboards[0]?.id;
  if (problem) return html`<${Heading}>${t("dashboard")}<//><${Failure} problem=${problem} again=${again} />`;
  if (!value) return html`<${Heading}>${t("dashboard")}<//><${Busy} />`;
  if (!wanted) return html`<${Heading}>${t("dashboard")}<//><p>${t("dashboard-none")}</p>`;
  return html`<${Board} board=${wanted} boards=${value.dashboards} key=${wanted} />`;
}

function Board({ board, boards }) {
  const { query } = useStore(route);
  const { value, problem, again } = useLoaded((signal) => call(`/api/dashboards/${id(board)}`, { signal }), [board]);
  const range = rangeOf(board, query);
  const wrong = rangeProblem(board, range);
  const refresh = query.has("refresh") && query.get("refresh") in REFRESHES ? Number(query.get("refresh")) : 30;
  const [turn, refreshNow] = useTurns(refresh);
  const choices = { range, job: query.get("job") ?? "", instance: query.get("instance") ?? "" };
  const set = (changes) => go(address(board, query, changes), { replace: true });
  const alone = query.get("panel");
  const rows = value?.rows.map((row) => ({ ...row, panels: row.panels.filter((panel) => !alone || panel.id === alone) })).filter((row) => row.panels.length > 0);
  return html`<${Heading}>${value?.title ?? t("dashboard")}<//>
    ${boards.length > 1 && html`<nav class="tabs" aria-label=${t("dashboards")}>${boards.map((each) => html`<a href=${`/dashboard/${id(each.id)}`} aria-current=${each.id === board ? "page" : undefined}>${each.title}</a>`)}</nav>`}
    <${Controls} board=${board} choices=${choices} refresh=${refresh} set=${set} refreshNow=${refreshNow} />
    <${Failure} problem=${problem} again=${again} />
    ${!value && !problem && html`<${Busy} />`}
    ${wrong && html`<p role="alert">${wrong}</p>`}
    ${value && rows.length === 0 && html`<p>${t("panel-unknown")}</p>`}
    ${alone && html`<p><a href=${address(board, query, { panel: "" })}>${t("all-panels")}</a></p>`}
    ${!alone && value && html`<nav class="rows" aria-label=${t("rows-of-panels")}>${rows.map((row) => html`<a href=${`#${row.id}`}>${row.title}</a> `)}</nav>`}
    ${!wrong && rows?.map(
      (row) => html`<section key=${row.id} aria-labelledby=${row.id}>
        <h2 id=${row.id}>${row.title}</h2>
        <div class="panels">${row.panels.map((panel) => html`<${Panel} key=${panel.id} board=${board} panel=${panel} choices=${choices} turn=${turn} alone=${Boolean(alone)} query=${query} />`)}</div>
      </section>`,
    )}`;
}

function Controls({ board, choices, refresh, set, refreshNow }) {
  const processes = useProcesses(board);
  const jobs = [...new Set(processes.map(({ job }) => job))];
  const instances = [...new Set(processes.filter(({ job }) => !choices.job || job === choices.job).map(({ instance }) => instance))];
  const choice = (name, label, options, value, blank) => html`<div>
    <label for=${`choice-${name}`}>${label}</label>
    <select id=${`choice-${name}`} value=${value} onChange=${(event) => set({ [name]: event.target.value, ...(name === "job" ? { instance: "" } : {}) })}>
      ${blank && html`<option value="">${blank}</option>`}
      ${options.map(([key, text]) => html`<option value=${key} selected=${String(key) === String(value)}>${text}</option>`)}
    </select>
  </div>`;
  return html`<div class="controls" role="group" aria-label=${t("choices-of-dashboard")}>
    <${RangeChoice} board=${board} range=${choices.range} set=${set} />
    ${choice("refresh", t("refresh"), Object.entries(REFRESHES).map(([each, code]) => [each, t(code)]), refresh)}
    ${board === "operations" && choice("job", t("service"), jobs.map((each) => [each, each]), choices.job, t("all-services"))}
    ${board === "operations" && choice("instance", t("process"), instances.map((each) => [each, each]), choices.instance, t("all-processes"))}
    <button type="button" onClick=${refreshNow}>${t("refresh-now")}</button>
  </div>`;
}

/** The processes that were there within a day. */
function useProcesses(board) {
  const { value } = useLoaded(
    async (signal) => {
      if (board !== "operations") return [];
      const now = Date.now() / 1000;
      const data = await call(`/api/dashboards/operations/panels/instances?from=${now - 3600}&to=${now}`, { signal });
      return data.series.map((line) => line.labels);
    },
    [board],
    { spoken: false },
  );
  return value ?? [];
}

function Panel({ board, panel, choices, turn, alone, query }) {
  const frame = useRef(null);
  const [seen, setSeen] = useState(false);
  const [state, setState] = useState({});
  const [hidden, setHidden] = useState(new Set());
  const [cursor, setCursor] = useState(null);
  const [asTable, setAsTable] = useState(false);
  useEffect(() => {
    const watcher = new IntersectionObserver((entries) => setSeen(entries.some((entry) => entry.isIntersecting)), { rootMargin: "200px" });
    watcher.observe(frame.current);
    return () => watcher.disconnect();
  }, []);
  useEffect(() => {
    // Only what can be seen is asked for, so that a long dashboard costs no more than a short one.
    if (!seen) return undefined;
    const stop = new AbortController();
    const [from, to] = endsOf(choices.range);
    const given = new URLSearchParams({ from: from.toFixed(3), to: to.toFixed(3) });
    for (const name of ["job", "instance"]) if (choices[name]) given.set(name, choices[name]);
    call(`/api/dashboards/${id(board)}/panels/${id(panel.id)}?${given}`, { signal: stop.signal }).then(
      (data) => setState({ data }),
      (error) => isAbort(error) || setState({ problem: asProblem(error) }),
    );
    return () => stop.abort();
  }, [seen, turn, choices.range.length, choices.range.from, choices.range.to, choices.job, choices.instance, panel.id, currentLanguage()]);
  const { data, problem } = state;
  const toggle = (name) => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    setHidden(next);
  };
  return html`<article class=${`panel w${alone ? 24 : panel.columns}`} ref=${frame} id=${`panel-${panel.id}`} aria-busy=${!data && !problem}>
    <header>
      <h3>${alone ? panel.title : html`<a href=${address(board, query, { panel: panel.id })}>${panel.title}</a>`}</h3>
      <p class="muted small">${panel.help.split("`").map((part, place) => (place % 2 ? html`<code>${part}</code>` : part))}</p>
    </header>
    <${Failure} problem=${problem} />
    ${!data && !problem && html`<p class="muted small">${t("loading")}</p>`}
    ${data && html`<${Content} panel=${panel} data=${data} hidden=${hidden} toggle=${toggle} cursor=${cursor} setCursor=${setCursor} asTable=${asTable} />`}
    ${data?.notes.map((note) => html`<p class="muted small">${note}</p>`)}
    <footer class="actions small">
      ${data?.series.length > 0 && html`<button type="button" class="plain" aria-pressed=${asTable} onClick=${() => setAsTable(!asTable)}>${asTable ? t("as-drawing") : t("as-table")}<span class="hidden"> ${panel.title}</span></button>`}
      ${panel.links.map((link) => html`<${Place} link=${link} />`)}
    </footer>
  </article>`;
}

function Content({ panel, data, hidden, toggle, cursor, setCursor, asTable }) {
  if (data.reason) return html`<p class="nothing">${data.reason}</p>`;
  if (data.rows) return html`<${Rows} panel=${panel} data=${data} />`;
  if (asTable) return html`<${Values} panel=${panel} data=${data} />`;
  if (panel.kind === "stat") return html`<${Numbers} panel=${panel} data=${data} />`;
  if (panel.kind === "bars") return html`<${Bars} panel=${panel} data=${data} />`;
  const Drawing = panel.kind === "state" ? States : Lines;
  return html`<${Drawing} panel=${panel} data=${data} hidden=${hidden} cursor=${cursor} onCursor=${setCursor} />
    <${Legend} panel=${panel} data=${data} hidden=${hidden} onToggle=${toggle} cursor=${cursor} />`;
}

function Rows({ panel, data }) {
  return html`<${Table} wide caption=${panel.title} head=${data.columns}>
    ${data.rows.map((row) => html`<tr>${row.map((cell) => html`<td class=${typeof cell === "number" ? "number" : ""}>${cellOf(cell)}</td>`)}</tr>`)}
  <//>`;
}

/** A cell; the id of an analysis leads to its report. */
function cellOf(cell) {
  if (typeof cell === "number") return withUnit(cell || 0, "number");
  if (typeof cell === "string" && /^\/[adj]\/[\w.-]+$/.test(cell)) return html`<a href=${cell}>${cell.slice(3, 11)}</a>`;
  if (typeof cell === "string" && /^\d{4}-\d\d-\d\dT/.test(cell)) return moment(cell);
  return cell === null ? "–" : html`<bdi>${String(cell)}</bdi>`;
}

function Values({ panel, data }) {
  return html`<${Table} wide caption=${panel.title} head=${[t("line"), t("newest"), t("least"), t("most"), t("measured-at")]}>
    ${data.series.map((line) => {
      const values = line.points.map(([, value]) => value);
      return html`<tr key=${line.name}>
        <th scope="row">${line.name}</th>
        ${[values.at(-1), Math.min(...values), Math.max(...values)].map((value) => html`<td class="number">${withUnit(value, panel.unit)}</td>`)}
        <td>${exactTime(line.points.at(-1)[0])}</td>
      </tr>`;
    })}
  <//>`;
}

/** A link, or the name of the place where the installation has no address for it. */
function Place({ link }) {
  // Names of alerts are longer than a narrow panel: they may break before a capital letter, and nowhere else.
  const title = link.kind === "runbook" ? html`${link.title}: ${link.target.split("#").at(-1).split(/(?<!^Cqox)(?=[A-Z])/).map((part) => html`<wbr />${part}`)}` : link.title;
  if (!link.address) return link.kind === "runbook" ? html`<span class="muted">${title}</span>` : null;
  return link.kind === "page" ? html`<a href=${link.address}>${title}</a>` : html`<a href=${link.address} target="_blank" rel="noopener">${title}</a>`;
}
