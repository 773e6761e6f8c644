// Calls of the API. Everything is fetched, so that one place adds what a request must carry.
import { askForKey, currentKey, keyFields } from "./key.js";
import { pause, Store } from "./lib.js";
import { currentLanguage, t } from "./text.js";

/** Whether the server answers; the page shows it while calls are retried. */
export const connection = new Store({ lost: false });

/** Header fields of every request of a share link. */
export const credentials = { headers: {} };

/** Return the header fields that say who asks: the key of a person, the token of a share link. */
export const identity = () => ({ ...keyFields(), ...credentials.headers });

const TRIES = 6;
const PATIENCE_MILLISECONDS = 15_000;
const WORTH_ANOTHER_TRY = new Set([429, 502, 503, 504]);

/** An error that the API explained, or a connection that failed. */
export class Problem extends Error {
  constructor(members) {
    super(members.detail ?? members.title ?? "");
    Object.assign(this, { type: "", title: "", status: 0, detail: this.message, choices: [], ...members });
    this.choices ??= [];
  }
}

export const isAbort = (error) => error?.name === "AbortError";

/** Return any error as a `Problem`. */
export function asProblem(error) {
  if (error instanceof Problem) return error;
  return new Problem({ type: "page", title: t("problem-page"), detail: String(error?.message ?? error) });
}

async function problemOf(response) {
  let members = {};
  try {
    members = await response.json();
  } catch {
    // A proxy's page: only the status is known.
  }
  const after = Number(response.headers.get("Retry-After"));
  const named = typeof members.detail === "string" ? members : { title: t("problem-status", { status: response.status }), detail: t("problem-status-detail") };
  return new Problem({ ...named, status: response.status, retryAfter: Number.isFinite(after) ? after : 0 });
}

/**
 * Send a request and return the response; retry what is safe to repeat.
 *
 * @param {string} path path of the API
 * @param {{method?: string, json?: object, body?: BodyInit, headers?: object, signal?: AbortSignal, repeatable?: boolean,
 *   tries?: number}} options `repeatable`: whether the request may be sent again after a failure; by default reads and
 *   deletions, and requests with an `Idempotency-Key`
 * @throws {Problem} the server refuses it, or cannot be reached
 */
export async function send(path, { method = "GET", json, body, headers = {}, signal, repeatable, tries = TRIES } = {}) {
  const again = repeatable ?? (["GET", "DELETE"].includes(method) || "Idempotency-Key" in headers);
  const patience = tries === Infinity ? Infinity : PATIENCE_MILLISECONDS;
  let waited = 0;
  for (let attempt = 1; ; attempt += 1) {
    let problem;
    const key = currentKey();
    const fields = { "Accept-Language": currentLanguage(), ...identity(), ...headers };
    if (json !== undefined) fields["Content-Type"] = "application/json";
    try {
      const content = json === undefined ? body : JSON.stringify(json);
      const response = await fetch(path, { method, headers: fields, body: content, signal, cache: "no-store" });
      if (response.ok) {
        connection.set({ lost: false });
        return response;
      }
      problem = await problemOf(response);
      if (problem.status < 500) connection.set({ lost: false });
    } catch (error) {
      if (isAbort(error)) throw error;
      problem = new Problem({ type: "connection", title: t("problem-connection"), detail: t("problem-connection-detail") });
    }
    if (problem.type === "not-authenticated") {
      await askForKey(key, signal);
      continue;
    }
    // What took too long once would take as long again.
    const worth = problem.status === 0 || (WORTH_ANOTHER_TRY.has(problem.status) && !(problem.status === 504 && method === "POST"));
    const wait = Math.max(Math.min(problem.retryAfter ?? 0, 8) * 1000, Math.min(8000, 400 * 2 ** attempt));
    waited += wait;
    if (!again || !worth || attempt >= tries || waited > patience) {
      // What the view shows says so; the line above it is for calls that go on trying.
      connection.set({ lost: false });
      throw problem;
    }
    if (problem.status === 0 || attempt > 1) connection.set({ lost: true });
    await pause(wait * (0.75 + Math.random() / 2), signal);
  }
}

/** Read what an answer holds; an answer that is cut off, or a page of a proxy, is a problem and no fault of this page. */
async function read(response, reading) {
  try {
    return await reading(response);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Problem({ type: "answer", title: t("problem-answer"), detail: t("problem-answer-detail") });
  }
}

/** Send a request and return the JSON of its answer. */
export async function call(path, options) {
  const response = await send(path, options);
  return response.status === 204 ? null : read(response, (answer) => answer.json());
}

/** Save the answer of a path as a file. */
export async function download(path, name, options) {
  const response = await send(path, options);
  save(await read(response, (answer) => answer.blob()), name);
}

/** Delete what a path names; what another tab has deleted already is gone as well. */
export async function remove(path) {
  try {
    await call(path, { method: "DELETE" });
  } catch (error) {
    if (error.status !== 404) throw error;
  }
}

/** Offer a blob to the browser as a file. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Return the path of an identifier that may hold any character. */
export const id = encodeURIComponent;
