// The first view: choose a file or a sample, and what was left running or unfinished.
import { asProblem, call, id } from "./api.js";
import { placeOf } from "./draft.js";
import { html, useRef, useState } from "./lib.js";
import { Badge, Busy, Failure, Heading, Progress, Steps, useLoaded, useStore } from "./parts.js";
import { ChooseTable } from "./place.js";
import { go } from "./route.js";
import { bytes, moment, percent, t } from "./text.js";
import { discardUpload, refusal, stoppedUploads, upload, uploadFile } from "./upload.js";

const SAMPLES = { test: "sample-test", mini_retail: "sample-mini-retail" };

export function Start() {
  const state = useStore(upload);
  const problem = useStore(refusal);
  const [over, setOver] = useState(false);
  const [stopped, setStopped] = useState(stoppedUploads);
  const input = useRef(null);
  const begin = async (files) => {
    setOver(false);
    if (files.length === 0 || upload.value) return;
    if (files.length > 1) return refusal.set({ title: t("one-file-title"), detail: t("one-file") });
    try {
      const described = await uploadFile(files[0]);
      if (location.pathname === "/") go(`/d/${id(described.dataset_id)}`);
    } catch {
      // The view shows the refusal, whichever view that is by now.
      setStopped(stoppedUploads());
    }
    if (input.current) input.current.value = "";
  };
  const drop = (event) => {
    event.preventDefault();
    begin(event.dataTransfer.files);
  };
  const drag = (event) => {
    event.preventDefault();
    setOver(true);
  };
  return html`
    <${Steps} current=${0} />
    <${Heading}>${t("start-title")}<//>
    <p class="lead">${t("start-lead")}</p>
    ${state
      ? html`<${Uploading} state=${state} />`
      : html`<div class=${`drop ${over ? "over" : ""}`} onDragOver=${drag} onDragLeave=${() => setOver(false)} onDrop=${drop}>
          <label for="file"><strong>${t("choose-file")}</strong></label>
          <input id="file" type="file" ref=${input} aria-describedby="file-help" onChange=${(event) => begin(event.target.files)} />
          <p id="file-help" class="muted">${t("choose-file-help")}</p>
        </div>`}
    <${Failure} problem=${problem} />
    ${!state &&
    stopped.map(
      (kept) => html`<div class="note" role="status">
        <p>${t("upload-stopped", { name: kept.name, share: percent((kept.offset ?? 0) / kept.size, 0) })}</p>
        <p class="actions">
          <button type="button" onClick=${() => input.current.click()}>${t("choose-again")}</button>
          <button type="button" class="plain" onClick=${() => discardUpload(kept).then(() => setStopped(stoppedUploads()))}>${t("discard")}</button>
        </p>
      </div>`,
    )}
    <${Known} />
  `;
}

function Uploading({ state }) {
  const share = state.size ? state.sent / state.size : 0;
  const reading = state.stage === "reading";
  const text = reading ? t("upload-reading", { name: state.name }) : t("upload-sending", { name: state.name, sent: bytes(state.sent), size: bytes(state.size) });
  return html`<section class="card" aria-label=${t("upload-progress")}>
    <p>${text}</p>
    <${Progress} share=${reading ? null : share} label=${t("upload-progress")} />
    <p role="status" class="muted">${state.retrying ? t("upload-retrying") : state.resumed && !reading ? t("upload-resumed") : ""}</p>
    <p class="actions"><button type="button" onClick=${state.cancel}>${t("cancel")}</button></p>
  </section>`;
}

function Known() {
  const { value, problem, again } = useLoaded(async (signal) => {
    const [sets, runs, analyses, sources] = await Promise.all([
      call("/api/datasets", { signal }),
      call("/api/jobs?status=running&limit=10", { signal }),
      call("/api/analyses?limit=5", { signal }),
      // Not everybody who may read data sets may use sources.
      call("/api/sources", { signal }).catch((error) => {
        if (error.type === "permission-missing") return { sources: [] };
        throw error;
      }),
    ]);
    return { sets: sets.datasets, jobs: runs.jobs, analyses: analyses.analyses, sources: sources.sources };
  }, []);
  if (problem) return html`<${Failure} problem=${problem} again=${again} />`;
  if (!value) return html`<${Busy} />`;
  const names = new Map(value.sets.map((set) => [set.dataset_id, set.name]));
  const places = value.sources.filter((source) => source.tables.length > 0);
  const samples = value.sets.filter((set) => set.sample);
  const uploads = value.sets.filter((set) => !set.sample).slice(0, 6);
  return html`
    ${value.jobs.length > 0 &&
    html`<section>
      <h2>${t("running")}</h2>
      <ul class="list">
        ${value.jobs.map((job) => html`<li><a href=${`/j/${id(job.job_id)}`}><bdi>${names.get(job.dataset_id) ?? placeOf(job.dataset_id)?.table ?? job.dataset_id}</bdi></a> <span class="muted">${moment(job.created_at)}</span></li>`)}
      </ul>
    </section>`}
    ${value.analyses.length > 0 &&
    html`<section>
      <h2>${t("recent")}</h2>
      <ul class="list">
        ${value.analyses.map((item) => html`<li><${AnalysisLink} item=${item} name=${names.get(item.dataset_id)} /></li>`)}
      </ul>
      <p><a href="/history">${t("all-history")}</a></p>
    </section>`}
    ${uploads.length > 0 &&
    html`<section>
      <h2>${t("your-files")}</h2>
      <ul class="cards">
        ${uploads.map((set) => html`<li><a class="card link" href=${`/d/${id(set.dataset_id)}`}><strong><bdi>${set.name}</bdi></strong><span class="muted">${t("table-size", { rows: set.rows, columns: set.columns })}</span></a></li>`)}
      </ul>
    </section>`}
    ${places.length > 0 && html`<${ChooseTable} sources=${places} />`}
    <${Sources} sources=${value.sources.filter((source) => source.tables.length === 0)} />
    <section>
      <h2>${t("samples")}</h2>
      <ul class="cards">
        ${samples.map(
          (set) => html`<li><a class="card link" href=${`/d/${id(set.dataset_id)}`}><strong><bdi>${set.name}</bdi></strong><span>${SAMPLES[set.dataset_id] ? t(SAMPLES[set.dataset_id]) : ""}</span><span class="muted">${t("table-size", { rows: set.rows, columns: set.columns })}</span></a></li>`,
        )}
      </ul>
    </section>
  `;
}

function Sources({ sources }) {
  const [state, setState] = useState({});
  if (sources.length === 0) return null;
  const read = async (name) => {
    setState({ busy: name });
    try {
      go(`/d/${id((await call(`/api/sources/${id(name)}/datasets`, { method: "POST", repeatable: true })).dataset_id)}`);
    } catch (error) {
      setState({ problem: asProblem(error) });
    }
  };
  return html`<section>
    <h2>${t("sources")}</h2>
    <ul class="cards">
      ${sources.map(
        (source) => html`<li><button type="button" class="card link" disabled=${state.busy} onClick=${() => read(source.name)}><strong><bdi>${source.name}</bdi></strong><span>${source.meaning}</span><span class="muted">${state.busy === source.name ? t("loading") : source.kind}</span></button></li>`,
      )}
    </ul>
    <${Failure} problem=${state.problem} />
  </section>`;
}

/** A link to a stored analysis with its verdict. */
export function AnalysisLink({ item, name }) {
  const title = item.title || item.dataset_name || name || (placeOf(item.dataset_id)?.table ?? item.dataset_id);
  return html`${item.verdict && html`<${Badge} state=${item.verdict} text=${item.verdict} /> `}<a href=${`/a/${id(item.analysis_id)}`}><bdi>${title}</bdi></a> <span class="muted">${moment(item.created_at)}</span>`;
}
