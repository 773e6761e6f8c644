// What is in the file: its sheets, header row, traps with their remedies, and the first rows.
import { call, id } from "./api.js";
import { html, useState } from "./lib.js";
import { Badge, Busy, Failure, Table, useLoaded } from "./parts.js";
import { bytes, number, t } from "./text.js";

const SHOWN_COLUMNS = 24;
const SHOWN_ROWS = 8;
const SHOWN_CELLS = 12;
const KINDS = {
  binary: "kind-binary",
  count: "kind-count",
  real: "kind-real",
  category: "kind-category",
  date: "kind-date",
  text: "kind-text",
  id: "kind-id",
};

export const kindName = (kind) => (KINDS[kind] ? t(KINDS[kind]) : kind);

export function Data({ described, findings, busy, isApplied, onApply, onRead }) {
  const [all, setAll] = useState(false);
  const columns = all ? described.columns : described.columns.slice(0, SHOWN_COLUMNS);
  const hidden = described.columns.length - columns.length;
  return html`<section id="data" aria-labelledby="data-title">
    <h2 id="data-title">${t("step-data")}</h2>
    <p>${t("data-summary", { rows: described.rows, columns: described.columns.length, size: bytes(described.size_bytes), format: described.format })}</p>
    <${Findings} findings=${findings} busy=${busy} isApplied=${isApplied} onApply=${onApply} onRead=${onRead} />
    ${described.notes.length > 0 && html`<details><summary>${t("reading-notes", { count: described.notes.length })}</summary><ul>${described.notes.slice(0, 100).map((note) => html`<li>${note}</li>`)}</ul></details>`}
    <${Table} wide caption=${t("first-rows")} head=${columns.map((column) => html`<bdi>${column.name}</bdi><span class="kind">${kindName(column.kind)}</span>`)}>
      ${described.preview.slice(0, SHOWN_ROWS).map((row) => html`<tr>${columns.map(({ name }) => html`<td class=${typeof row[name] === "number" ? "number" : ""}><${Cell} value=${row[name]} /></td>`)}</tr>`)}
    <//>
    ${hidden > 0 && html`<p><button type="button" class="plain" onClick=${() => setAll(true)}>${t("more-columns", { count: hidden })}</button></p>`}
    ${!described.sample && html`<${Sheets} key=${described.dataset_id} datasetId=${described.dataset_id} busy=${busy} onRead=${onRead} />`}
  </section>`;
}

function Cell({ value }) {
  if (value === null || value === undefined) return html`<span class="muted">${t("empty-cell")}</span>`;
  const text = typeof value === "number" && !Number.isInteger(value) ? number(value, 6) : String(value);
  return html`<bdi>${text.length > 80 ? `${text.slice(0, 80)}…` : text}</bdi>`;
}

/** Traps in the data, each with one click against it. */
export function Findings({ findings, busy, isApplied, onApply, onRead, accepted, onAccept }) {
  if (findings.length === 0) return null;
  return html`<ul class="findings" aria-label=${t("findings")}>
    ${findings.map((finding) => {
      const remedy = finding.remedy;
      const applied = remedy?.at === "analyze" && isApplied(remedy.parameters);
      const act = () => (remedy.at === "upload" ? onRead(remedy.parameters) : onApply(remedy.parameters));
      return html`<li class=${finding.severity}>
        <p><${Badge} state=${finding.severity === "caps" ? "warn" : "not_applicable"} text=${finding.severity === "caps" ? t("finding-caps") : t("finding-note")} /> ${finding.message}</p>
        <p class="actions">
          ${remedy && (remedy.at === "analyze" || onRead) && (applied ? html`<span role="status">✓ ${t("remedy-applied")}</span>` : html`<button type="button" disabled=${busy} onClick=${act}>${t("remedy-apply")} <span class="hidden">${finding.message}</span></button>`)}
          ${onAccept && finding.severity === "caps" && (finding.accepted || accepted?.includes(finding.code) ? html`<span>✓ ${t("finding-accepted")}</span>` : html`<button type="button" class="plain" onClick=${() => onAccept(finding.code)}>${t("finding-accept")} <span class="hidden">${finding.message}</span></button>`)}
        </p>
      </li>`;
    })}
  </ul>`;
}

/** Another sheet, another header row: the file is read again without being sent again. */
function Sheets({ datasetId, busy, onRead }) {
  const [open, setOpen] = useState(false);
  return html`<details onToggle=${(event) => setOpen(event.target.open)}>
    <summary>${t("read-otherwise")}</summary>
    ${open && html`<${SheetPicker} datasetId=${datasetId} busy=${busy} onRead=${onRead} />`}
  </details>`;
}

function SheetPicker({ datasetId, busy, onRead }) {
  const { value, problem, again } = useLoaded((signal) => call(`/api/datasets/${id(datasetId)}/sheets`, { signal }), [datasetId]);
  const [name, setName] = useState(null);
  const [row, setRow] = useState(null);
  if (problem) return html`<${Failure} problem=${problem} again=${again} />`;
  if (!value) return html`<${Busy} />`;
  if (!value.original) return html`<p>${t("original-gone")}</p>`;
  const sheet = value.sheets.find((each) => each.name === name) ?? value.sheets.find((each) => each.name === value.read?.sheet) ?? value.sheets[0];
  if (!sheet || sheet.cells.length === 0) return html`<p>${value.note ?? t("no-sheets")}</p>`;
  const chosen = row ?? sheet.header_row ?? 1;
  const read = () => onRead({ ...(sheet.name ? { sheet: sheet.name } : {}), header_row: chosen });
  const width = Math.min(SHOWN_CELLS, Math.max(1, ...sheet.cells.map((cells) => cells.length)));
  return html`
    ${value.sheets.length > 1 &&
    html`<p>
      <label for="sheet">${t("sheet")}</label>
      <select id="sheet" value=${sheet.name} onChange=${(event) => (setRow(null), setName(event.target.value))}>
        ${value.sheets.map((each) => html`<option value=${each.name}>${each.name}</option>`)}
      </select>
    </p>`}
    <fieldset>
      <legend>${t("header-row")}</legend>
      <${Table} wide caption=${t("raw-rows")} head=${[t("header-row-short"), ...Array.from({ length: width }, (_, place) => String(place + 1))]}>
        ${sheet.cells.map(
          (cells, place) => html`<tr class=${place + 1 === chosen ? "chosen" : ""}>
            <th scope="row"><label><input type="radio" name="header-row" checked=${place + 1 === chosen} onChange=${() => setRow(place + 1)} /> ${place + 1}</label></th>
            ${Array.from({ length: width }, (_, column) => html`<td><${Cell} value=${cells[column]} /></td>`)}
          </tr>`,
        )}
      <//>
    </fieldset>
    <p class="actions"><button type="button" disabled=${busy} onClick=${read}>${busy ? t("loading") : t("read-again")}</button></p>
  `;
}
