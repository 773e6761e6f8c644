// What a person chooses for data, and the button that starts the analysis: of a data set and of a table in place.
import { asProblem, call, id } from "./api.js";
import { readDraft, requestOf, startJob, writeDraft } from "./draft.js";
import { html, useEffect, useState } from "./lib.js";
import { Failure } from "./parts.js";
import { isAnswerable } from "./preview.js";
import { go } from "./route.js";
import { t } from "./text.js";

/** Return what is chosen for data, and a function that changes it; kept in this browser, and the same in all its tabs. */
export function useDraft(datasetId, suggested) {
  const [draft, setDraft] = useState(() => readDraft(datasetId, suggested));
  const change = (next) => {
    writeDraft(datasetId, next);
    setDraft(next);
  };
  useEffect(() => {
    // A suggestion may come late; what a person has chosen stays.
    setDraft((now) => (now.suggested ? readDraft(datasetId, suggested) : now));
  }, [suggested]);
  useEffect(() => {
    // Another tab on the same data set: the later choice counts in both.
    const follow = (event) => event.key === `cqox.draft.${datasetId}` && setDraft(readDraft(datasetId, suggested));
    addEventListener("storage", follow);
    return () => removeEventListener("storage", follow);
  }, [datasetId]);
  return [draft, change];
}

/** Start the analysis. */
export function Run({ datasetId, draft }) {
  const [state, setState] = useState({});
  const run = async () => {
    setState({ starting: true });
    try {
      const job = await startJob(call, requestOf(datasetId, draft));
      writeDraft(datasetId, { ...draft, suggested: undefined });
      go(`/j/${id(job.job_id)}`);
    } catch (error) {
      setState({ refused: asProblem(error) });
    }
  };
  return html`<section id="run" aria-labelledby="run-title">
    <h2 id="run-title">${t("step-run")}</h2>
    <p>${isAnswerable(draft.mapping) ? t("run-lead") : t("run-needs-roles")}</p>
    <p class="actions"><button type="button" class="primary" disabled=${state.starting || !isAnswerable(draft.mapping)} onClick=${run}>${state.starting ? t("starting") : t("run")}</button></p>
    <${Failure} problem=${state.refused} />
  </section>`;
}
