// From a data set to a request: what is in the file, what its columns mean, and what would come of it.
import { asProblem, call, id } from "./api.js";
import { Run, useDraft } from "./ask.js";
import { Data } from "./data.js";
import { carriedOver, isRemedied, remedied, writeDraft } from "./draft.js";
import { html, useState } from "./lib.js";
import { Busy, Failure, Heading, Steps, useLoaded } from "./parts.js";
import { isAnswerable, Preview } from "./preview.js";
import { Roles } from "./roles.js";
import { go } from "./route.js";
import { t } from "./text.js";

export function Dataset({ datasetId }) {
  const { value, problem, again } = useLoaded(
    async (signal) => {
      const described = await call(`/api/datasets/${id(datasetId)}`, { signal });
      const inferred = await call("/api/roles/infer", { method: "POST", json: { dataset_id: datasetId }, signal, repeatable: true });
      return { described, inferred };
    },
    [datasetId],
  );
  if (problem?.status === 404) return html`<${Heading}>${t("dataset-gone-title")}<//><p>${t("dataset-gone")}</p><p><a href="/">${t("start-over")}</a></p>`;
  if (problem) return html`<${Heading}>${t("step-data")}<//><${Failure} problem=${problem} again=${again} />`;
  if (!value) return html`<${Heading}>${t("step-data")}<//><${Busy} text=${t("dataset-loading")} />`;
  return html`<${Editor} key=${datasetId} ...${value} />`;
}

function Editor({ described, inferred }) {
  const datasetId = described.dataset_id;
  const [draft, change] = useDraft(datasetId, inferred.mapping);
  const [state, setState] = useState({});
  const readAgain = async (options) => {
    setState({ reading: true });
    try {
      const fresh = await call(`/api/datasets/${id(datasetId)}/read`, { method: "POST", json: options, repeatable: true });
      writeDraft(fresh.dataset_id, carriedOver(draft, fresh.columns.map((column) => column.name)));
      setState({});
      go(`/d/${id(fresh.dataset_id)}`);
    } catch (error) {
      setState({ problem: asProblem(error) });
    }
  };
  const findings = merged(described.findings, inferred.findings);
  const apply = (parameters) => change({ ...remedied(draft, parameters), suggested: draft.suggested && !parameters.mapping });
  const links = { "step-data": "#data", "step-roles": "#roles", "step-preview": "#preview", "step-run": "#run" };
  return html`
    <${Steps} current=${isAnswerable(draft.mapping) ? 2 : 1} links=${links} />
    <${Heading} title=${described.name}><bdi>${described.name}</bdi><//>
    <${Data}
      described=${described}
      findings=${findings}
      busy=${state.reading}
      isApplied=${(parameters) => isRemedied(draft, parameters)}
      onApply=${apply}
      onRead=${readAgain}
    />
    <${Failure} problem=${state.problem} />
    <${Roles} described=${described} inferred=${inferred} draft=${draft} onChange=${change} />
    <${Preview} blocking=${blocking(findings, draft)} datasetId=${datasetId} draft=${draft} onApply=${apply} isApplied=${(parameters) => isRemedied(draft, parameters)} />
    <${Run} datasetId=${datasetId} draft=${draft} />
  `;
}

/** The finding without whose remedy the treatment has one level: marks and empty cells that are not yet yes and no. */
function blocking(findings, draft) {
  return findings.find(({ code, columns, remedy }) => code === "yes-or-blank" && columns.includes(draft.mapping.treatment) && !isRemedied(draft, remedy.parameters));
}

/** Findings of the file and of the roles, each once. */
function merged(...lists) {
  const found = new Map();
  for (const finding of lists.flat()) found.set(JSON.stringify([finding.code, finding.columns, finding.remedy]), finding);
  return [...found.values()];
}
