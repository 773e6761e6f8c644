// Title and notes, files to take along, and read-only links.
import { asProblem, call, download, id, remove, send } from "./api.js";
import { html, useEffect, useState } from "./lib.js";
import { Busy, Failure, useLoaded } from "./parts.js";
import { moment, t } from "./text.js";

const FORMATS = [
  ["pptx", "PowerPoint"],
  ["pdf", "PDF"],
  ["html", "HTML"],
  ["docx", "Word"],
  ["md", "Markdown"],
  ["csv", "CSV"],
];

/** Title and notes of an analysis, saved when asked to; another tab's change is not overwritten in silence. */
export function Annotation({ analysisId }) {
  const path = `/api/analyses/${id(analysisId)}/annotation`;
  const [tag, setTag] = useState(null);
  const { value, problem, again } = useLoaded(
    async (signal) => {
      const response = await send(path, { signal });
      setTag(response.headers.get("ETag"));
      return response.json();
    },
    [analysisId],
    { spoken: false },
  );
  const [edit, setEdit] = useState(null);
  const [state, setState] = useState({});
  useEffect(() => setState({}), [value]);
  if (problem) return html`<${Failure} problem=${problem} again=${again} />`;
  if (!value) return null;
  const save = async (event) => {
    event.preventDefault();
    setState({ busy: true });
    try {
      const json = { title: edit.title.trim() || null, notes: edit.notes.trim() || null };
      await send(path, { method: "PATCH", json, headers: tag ? { "If-Match": tag } : {} });
      setEdit(null);
      again();
    } catch (error) {
      setState({ problem: asProblem(error) });
    }
  };
  if (edit) {
    return html`<form class="card" onSubmit=${save}>
      <p><label for="title">${t("title")}</label> <input id="title" maxlength="200" value=${edit.title} onInput=${(event) => setEdit({ ...edit, title: event.target.value })} /></p>
      <p><label for="notes">${t("notes")}</label> <textarea id="notes" rows="4" maxlength="10000" value=${edit.notes} onInput=${(event) => setEdit({ ...edit, notes: event.target.value })}></textarea></p>
      <${Failure} problem=${state.problem}>${state.problem?.status === 412 && html`<button type="button" onClick=${() => (setEdit(null), again())}>${t("show-other-change")}</button>`}<//>
      <p class="actions"><button type="submit" class="primary" disabled=${state.busy}>${t("save")}</button> <button type="button" onClick=${() => setEdit(null)}>${t("cancel")}</button></p>
    </form>`;
  }
  return html`<div class="annotation">
    ${value.title && html`<p class="title"><strong><bdi>${value.title}</bdi></strong></p>`}
    ${value.notes && html`<p class="notes"><bdi>${value.notes}</bdi></p>`}
    <p><button type="button" class="plain" onClick=${() => setEdit({ title: value.title ?? "", notes: value.notes ?? "" })}>${value.title || value.notes ? t("edit-notes") : t("add-notes")}</button></p>
  </div>`;
}

/** Buttons for files; drawing a dozen figures for print takes a moment, which the button shows. */
export function Exports({ path, file }) {
  const [state, setState] = useState({});
  const take = async (suffix) => {
    setState({ busy: suffix });
    try {
      await download(`${path}.${suffix}`, `${file}.${suffix}`);
      setState({ done: suffix });
    } catch (error) {
      setState({ problem: asProblem(error) });
    }
  };
  return html`
    <h3>${t("export")}</h3>
    <p class="actions">
      ${FORMATS.map(([suffix, name]) => html`<button type="button" disabled=${Boolean(state.busy)} onClick=${() => take(suffix)}>${state.busy === suffix ? t("export-busy", { name }) : name}</button>`)}
    </p>
    <p role="status" class="muted">${state.done ? t("export-done") : ""}</p>
    <${Failure} problem=${state.problem} />
  `;
}

/** Read-only links, where the operator allows them. */
export function Shares({ analysisId }) {
  const path = `/api/analyses/${id(analysisId)}/shares`;
  const { value, problem, again } = useLoaded((signal) => call(path, { signal }), [analysisId], { spoken: false });
  const [state, setState] = useState({});
  if (problem) return html`<h3>${t("share")}</h3><${Failure} problem=${problem} again=${again} />`;
  if (!value) return html`<h3>${t("share")}</h3><${Busy} />`;
  if (!value.allowed) return html`<h3>${t("share")}</h3><p class="muted">${t("share-off")}</p>`;
  const create = async () => {
    setState({ busy: true });
    try {
      const made = await call(path, { method: "POST", json: {} });
      setState({ link: new URL(made.path, location.href).href, until: made.expires_at });
      again();
    } catch (error) {
      setState({ problem: asProblem(error) });
    }
  };
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(state.link);
      setState({ ...state, copied: true });
    } catch {
      document.getElementById("share-link").select();
    }
  };
  const revoke = async (share) => {
    try {
      await remove(`${path}/${id(share.share_id)}`);
      setState({});
      again();
    } catch (error) {
      setState({ problem: asProblem(error) });
    }
  };
  return html`
    <h3>${t("share")}</h3>
    <p>${t("share-lead")}</p>
    <p class="actions"><button type="button" disabled=${state.busy} onClick=${create}>${t("share-create")}</button></p>
    ${state.link &&
    html`<p class="note"><label for="share-link">${t("share-link")}</label> <input id="share-link" readonly value=${state.link} onFocus=${(event) => event.target.select()} /> <button type="button" onClick=${copy}>${t("copy")}</button> <span role="status">${state.copied ? t("copied") : t("share-once")}</span></p>`}
    <${Failure} problem=${state.problem} />
    ${value.shares.length > 0 &&
    html`<ul class="list">${value.shares.map((share) => html`<li>${t("share-until", { until: moment(share.expires_at) })} <button type="button" class="plain" onClick=${() => revoke(share)}>${t("share-revoke")}<span class="hidden"> ${moment(share.expires_at)}</span></button></li>`)}</ul>`}
  `;
}
