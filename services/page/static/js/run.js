// A running analysis: steps and estimates as they are done; it goes on without this page.
import { asProblem, call, id, isAbort } from "./api.js";
import { dataOf, requestOfJob, startJob } from "./draft.js";
import { followJob } from "./events.js";
import { estimatorLabel } from "./labels.js";
import { html, useEffect, useState } from "./lib.js";
import { Confirm, Failure, Heading, Progress, Steps, Table } from "./parts.js";
import { go } from "./route.js";
import { number, t } from "./text.js";

const STEP_NAMES = { read: "run-reading", plan: "run-planning", estimate: "run-estimating", diagnostics: "run-diagnostics", figures: "run-figures" };
const ENDINGS = { failed: "run-failed", cancelled: "run-cancelled", interrupted: "run-interrupted" };
const SHOWN = 60;

/** Follow a job in an effect; returns what is known of it. */
export function useJob(jobId, onReport) {
  const [state, setState] = useState({ estimates: [], step: "read" });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (!jobId) return undefined;
    const stop = new AbortController();
    setState({ estimates: [], step: "read" });
    const onEvent = ({ event, data }) => {
      if (event === "step") setState((before) => ({ ...before, step: String(data.step).split(".")[0] }));
      if (event !== "estimate") return;
      setState((before) => ({ ...before, done: data.done, planned: data.planned, estimates: data.estimate === null ? before.estimates : [...before.estimates, data] }));
    };
    const onState = (job) => setState((before) => ({ ...before, step: job.last_step?.split(".")[0] ?? before.step, done: job.done ?? before.done, planned: job.planned ?? before.planned, polled: true }));
    followJob(jobId, { onEvent, onState, signal: stop.signal }).then(
      (job) => {
        if (stop.signal.aborted) return;
        if (job.analysis_id) onReport(job.analysis_id);
        else setState((before) => ({ ...before, job }));
      },
      (error) => isAbort(error) || setState((before) => ({ ...before, problem: asProblem(error) })),
    );
    return () => stop.abort();
  }, [jobId, turn]);
  return { ...state, again: () => setTurn((before) => before + 1) };
}

export function Job({ jobId }) {
  const state = useJob(jobId, (analysisId) => go(`/a/${id(analysisId)}`, { replace: true }));
  const [asking, setAsking] = useState(false);
  const [repeat, setRepeat] = useState({});
  const request = requestOfJob(jobId);
  const datasetId = state.job?.dataset_id ?? dataOf(request);
  const back = datasetId ? `/d/${id(datasetId)}` : "/";
  const again = async () => {
    setRepeat({ busy: true });
    try {
      go(`/j/${id((await startJob(call, request)).job_id)}`, { replace: true });
      setRepeat({});
    } catch (error) {
      setRepeat({ problem: asProblem(error) });
    }
  };
  const ended = state.job ?? (state.problem?.status === 404 ? { status: "gone" } : null);
  return html`
    <${Steps} current=${3} links=${{ "step-data": `${back}`, "step-roles": back, "step-preview": back }} />
    <${Heading}>${ended ? t(ENDINGS[ended.status] ?? "run-gone") : t("run-title")}<//>
    ${ended
      ? html`
          ${ended.status === "interrupted" && html`<p>${t("run-interrupted-help")}</p>`}
          ${ended.status === "gone" && html`<p>${t("run-gone-help")}</p>`}
          <${Failure} problem=${ended.problem} />
          <p class="actions">
            ${request && html`<button type="button" class="primary" disabled=${repeat.busy} onClick=${again}>${t("run-again")}</button>`}
            <a class="button" href=${back}>${datasetId ? t("change-roles") : t("start-over")}</a>
          </p>
          <${Failure} problem=${repeat.problem} />
        `
      : html`
          <p role="status">${t(STEP_NAMES[state.step] ?? "run-estimating")} ${state.planned ? t("run-count", { done: state.done ?? 0, planned: state.planned }) : ""}</p>
          <${Progress} share=${state.planned && state.step === "estimate" ? (state.done ?? 0) / state.planned : null} label=${t("run-title")} />
          <p class="muted">${t("run-leave")}</p>
          <p class="actions"><button type="button" onClick=${() => setAsking(true)}>${t("run-cancel")}</button></p>
          <${Failure} problem=${state.problem} again=${state.again} />
        `}
    ${asking && !ended && html`<${Confirm} question=${t("run-cancel-question")} yes=${t("run-cancel")} onYes=${() => call(`/api/jobs/${id(jobId)}`, { method: "DELETE" })} onClose=${() => setAsking(false)} />`}
    ${state.estimates.length > 0 && !ended && html`<${Appearing} estimates=${state.estimates} />`}
  `;
}

function Appearing({ estimates }) {
  return html`<${Table} caption=${t("estimates")} head=${[t("estimator"), t("estimate"), t("interval")]}>
    ${estimates.slice(-SHOWN).reverse().map((each) => html`<tr key=${each.name + (each.contrast ?? "")}><th scope="row">${each.label ?? estimatorLabel(each.name)}</th><td class="number">${number(each.estimate)}</td><td class="number">${each.ci_lower === null ? "–" : `${number(each.ci_lower)} – ${number(each.ci_upper)}`}</td></tr>`)}
  <//>`;
}
