// Progress of a job: a streamed answer where this browser has none yet, polling otherwise.
import { asProblem, call, connection, id, isAbort, send } from "./api.js";
import { pause } from "./lib.js";

const POLL_MILLISECONDS = 1000;
const LOCK = "cqox-events";

/** Split a stream of server-sent events into `{event, id, data}`. */
export async function* parseEvents(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value.replaceAll("\r\n", "\n")).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const fields = { event: "message", id: null, data: "" };
        for (const line of block.split("\n")) {
          const [, name, text] = /^(event|id|data): ?(.*)$/.exec(line) ?? [];
          if (name === "data") fields.data += text;
          else if (name) fields[name] = text;
        }
        if (fields.data) yield fields;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Hold the browser's one stream while `work` runs: six streams on HTTP/1.1 leave the seventh tab without answers. */
async function withStream(work, otherwise) {
  if (!navigator.locks) return otherwise();
  return navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => (lock ? work() : otherwise()));
}

/**
 * Follow a job to its end and return its description; a lost connection is taken up again.
 *
 * @param {string} jobId the job
 * @param {(event: {event: string, data: object}) => void} onEvent called for each event of a stream
 * @param {(job: object) => void} onState called with each description while polling
 * @param {AbortSignal} signal ends following, not the job
 */
export async function followJob(jobId, { onEvent, onState, signal }) {
  const path = `/api/jobs/${id(jobId)}`;
  const poll = async () => {
    for (;;) {
      const job = await call(path, { signal, tries: Infinity });
      onState(job);
      if (job.status !== "running") return job;
      await pause(POLL_MILLISECONDS, signal);
    }
  };
  const stream = async () => {
    let last = null;
    for (let failures = 0; failures < 2; ) {
      try {
        const headers = { Accept: "text/event-stream", ...(last === null ? {} : { "Last-Event-ID": last }) };
        const response = await send(`${path}/events`, { headers, signal, tries: 1 });
        for await (const { event, id: number, data } of parseEvents(response.body)) {
          failures = 0;
          last = number ?? last;
          onEvent({ event, data: JSON.parse(data) });
        }
        break;
      } catch (error) {
        if (isAbort(error)) throw error;
        if (asProblem(error).status === 404) throw error;
        connection.set({ lost: true });
        failures += 1;
        await pause(500, signal);
      }
    }
    // The end is read from the job itself, which also knows of an engine that died.
    return poll();
  };
  return withStream(stream, poll);
}
