// What a person has chosen for a data set, kept in this browser until it is analysed, and after.
import { memory, randomId } from "./lib.js";

const KEPT_REQUESTS = 20;
const OPTIONS_OF_DATA = ["drop_rows", "accept"];

/** Return the draft of a data set, made from the suggested mapping where there is none. */
export function readDraft(datasetId, suggested = {}) {
  const kept = memory.read(`draft.${datasetId}`);
  return kept?.mapping ? kept : { mapping: suggested, options: kept?.options ?? {}, suggested: true };
}

export const writeDraft = (datasetId, draft) => memory.write(`draft.${datasetId}`, draft);

/** Add what a remedy says to a draft: lists of one name are joined. */
export function remedied(draft, parameters) {
  const { mapping: roles, ...given } = parameters;
  const options = { ...draft.options };
  for (const [name, value] of Object.entries(given)) {
    const before = options[name];
    if (Array.isArray(value) && Array.isArray(before)) options[name] = joined(before, value);
    else if (isMapping(value) && isMapping(before)) options[name] = { ...before, ...value };
    else options[name] = value;
  }
  return { mapping: { ...draft.mapping, ...roles }, options };
}

const isMapping = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function joined(before, added) {
  const known = new Set(before.map((item) => JSON.stringify(item)));
  return [...before, ...added.filter((item) => !known.has(JSON.stringify(item)))];
}

/** Whether a draft already holds what a remedy says. */
export function isRemedied(draft, parameters) {
  return JSON.stringify(remedied(draft, parameters)) === JSON.stringify({ mapping: draft.mapping, options: draft.options });
}

const PLACE = /^source:([^:]+):(.+)$/s;

/** Return source and table of the id of a table in place, or null for that of a data set. */
export function placeOf(datasetId) {
  const match = PLACE.exec(datasetId);
  return match && { source: match[1], table: match[2] };
}

/** Return the id that reports and jobs have for a table in place. */
export const idOfTable = (source, table) => `source:${source}:${table}`;

/** Return the members of a request that name its data. */
export const named = (datasetId) => placeOf(datasetId) ?? { dataset_id: datasetId };

/** Return the id of the data of a request. */
export const dataOf = (request) => request?.dataset_id ?? (request?.source ? idOfTable(request.source, request.table) : undefined);

/** Return the body of a request, without what was left empty. */
export function requestOf(datasetId, { mapping, options }) {
  const kept = (members) => Object.fromEntries(Object.entries(members).filter(([, value]) => !isEmpty(value)));
  return { ...named(datasetId), mapping: kept(mapping), options: kept(options) };
}

const isEmpty = (value) => value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0);

/** Return the draft for a data set that was read again with other options: roles of columns that stay if a person chose them, no options of rows. */
export function carriedOver(draft, columns) {
  const names = new Set(columns);
  const mapping = {};
  for (const [role, value] of Object.entries(draft.mapping)) {
    if (Array.isArray(value)) mapping[role] = value.filter((name) => names.has(name));
    else if (names.has(value)) mapping[role] = value;
  }
  const options = Object.fromEntries(Object.entries(draft.options).filter(([name]) => !OPTIONS_OF_DATA.includes(name)));
  return draft.suggested ? { options } : { mapping, options };
}

/** Start an analysis in the background and return the description of its job; the request is kept for another try. */
export async function startJob(call, body) {
  const job = await call("/api/analyze/comprehensive", {
    method: "POST",
    json: body,
    headers: { Prefer: "respond-async", "Idempotency-Key": randomId() },
  });
  memory.write(`job.${job.job_id}`, { at: Date.now(), request: body });
  const kept = memory.keys("job.").sort((one, other) => (memory.read(other)?.at ?? 0) - (memory.read(one)?.at ?? 0));
  for (const old of kept.slice(KEPT_REQUESTS)) memory.drop(old);
  return job;
}

/** Return the request of a job that was started in this browser, or null. */
export const requestOfJob = (jobId) => memory.read(`job.${jobId}`)?.request ?? null;
