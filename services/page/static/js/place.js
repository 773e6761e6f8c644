// A table that stays where it is: chosen by source and name, and asked about without an upload.
import { call, id } from "./api.js";
import { Run, useDraft } from "./ask.js";
import { kindName } from "./data.js";
import { idOfTable, isRemedied, placeOf, remedied } from "./draft.js";
import { html, useState } from "./lib.js";
import { Busy, Failure, Heading, Steps, Table, useLoaded } from "./parts.js";
import { isAnswerable, Preview } from "./preview.js";
import { Roles } from "./roles.js";
import { go } from "./route.js";
import { t } from "./text.js";

/** Kinds of columns in place, by those of data sets. */
const KINDS = { whole: "count", real: "real", word: "text", day: "date", moment: "date" };
const UNSUGGESTED = { mapping: {}, candidates: {}, notes: [] };
/** Options that change rows or values, which a table in place does not allow. */
const OF_UPLOADS = ["drop_rows", "period_formats", "yes_no"];

/** Return name and kind of the columns that can play a role. */
export async function columnsOf({ source, table }, signal) {
  const { columns } = await call(`/api/sources/${id(source)}/columns?table=${id(table)}`, { signal });
  return { usable: columns.filter((each) => each.kind).map((each) => ({ name: each.name, kind: KINDS[each.kind] })), others: columns.filter((each) => !each.kind) };
}

/** Choose a source, then one of its tables. */
export function ChooseTable({ sources }) {
  const [name, setName] = useState(sources[0].name);
  const [table, setTable] = useState(null);
  const source = sources.find((each) => each.name === name) ?? sources[0];
  const chosen = source.tables.includes(table) ? table : source.tables[0];
  const open = (event) => {
    event.preventDefault();
    go(`/d/${id(idOfTable(source.name, chosen))}`);
  };
  return html`<section id="tables" aria-labelledby="tables-title">
    <h2 id="tables-title">${t("tables-in-place")}</h2>
    <p class="muted">${t("tables-in-place-help")}</p>
    <form class="card" onSubmit=${open}>
      <p>
        <label for="table-source">${t("table-source")}</label>
        <select id="table-source" value=${source.name} onChange=${(event) => setName(event.target.value)}>
          ${sources.map((each) => html`<option value=${each.name}>${each.name} (${each.kind})</option>`)}
        </select>${" "}
        <span class="muted"><bdi>${source.meaning}</bdi></span>
      </p>
      <p>
        <label for="table-name">${t("table-name")}</label>
        <select id="table-name" value=${chosen} onChange=${(event) => setTable(event.target.value)}>
          ${source.tables.map((each) => html`<option value=${each}>${each}</option>`)}
        </select>
      </p>
      <p class="actions"><button type="submit">${t("table-open")}</button></p>
    </form>
  </section>`;
}

export function TableInPlace({ datasetId }) {
  const place = placeOf(datasetId);
  const { value, problem, again } = useLoaded((signal) => columnsOf(place, signal), [datasetId], { spoken: false });
  if (problem?.status === 404) return html`<${Heading}>${t("table-gone-title")}<//><p>${t("table-gone")}</p><p><a href="/">${t("start-over")}</a></p>`;
  if (problem) return html`<${Heading}>${t("step-data")}<//><${Failure} problem=${problem} again=${again} />`;
  if (!value) return html`<${Heading}>${t("step-data")}<//><${Busy} text=${t("dataset-loading")} />`;
  return html`<${Editor} place=${place} datasetId=${datasetId} columns=${value} />`;
}

/** Whether a remedy can be applied to a table in place. */
const isAllowed = (parameters) => !OF_UPLOADS.some((name) => name in parameters);

function Editor({ place, datasetId, columns }) {
  const inferred = useLoaded((signal) => call("/api/roles/infer", { method: "POST", json: place, signal, repeatable: true }), [datasetId]);
  const suggested = inferred.value ?? UNSUGGESTED;
  const [draft, change] = useDraft(datasetId, suggested.mapping);
  const links = { "step-data": "#data", "step-roles": "#roles", "step-preview": "#preview", "step-run": "#run" };
  const applied = (parameters) => isRemedied(draft, parameters);
  const apply = (parameters) => change(remedied(draft, parameters));
  return html`
    <${Steps} current=${isAnswerable(draft.mapping) ? 2 : 1} links=${links} />
    <${Heading} title=${place.table}><bdi>${place.table}</bdi><//>
    <section id="data" aria-labelledby="data-title">
      <h2 id="data-title">${t("step-data")}</h2>
      <p>${t("table-summary", { source: place.source, columns: columns.usable.length })}</p>
      <details>
        <summary>${t("table-columns")}</summary>
        <${Table} caption=${t("table-columns")} head=${[t("column-name"), t("column-kind")]}>
          ${columns.usable.map((column) => html`<tr><th scope="row"><bdi>${column.name}</bdi></th><td>${kindName(column.kind)}</td></tr>`)}
          ${columns.others.map((column) => html`<tr><th scope="row"><bdi>${column.name}</bdi></th><td>${t("column-unusable", { type: column.type ?? "" })}</td></tr>`)}
        <//>
      </details>
    </section>
    <${Roles} described=${{ columns: columns.usable }} inferred=${suggested} draft=${draft} onChange=${change} />
    ${!inferred.value && !inferred.problem && html`<${Busy} text=${t("roles-loading")} />`}
    ${inferred.problem && html`<p>${t("roles-by-hand")}</p><${Failure} problem=${inferred.problem} again=${inferred.again} />`}
    <${Preview} datasetId=${datasetId} draft=${draft} onApply=${apply} isApplied=${applied} isAllowed=${isAllowed} />
    <${Run} datasetId=${datasetId} draft=${draft} />
  `;
}
