// Uploads in pieces, which go on where they stopped: after a lost connection, and when the same file is chosen again.
import { asProblem, call, id, identity, Problem } from "./api.js";
import { memory, pause, Store } from "./lib.js";
import { currentLanguage, t } from "./text.js";

const RETRIES = 40;
/** Without a byte sent or an answer for so long, the connection counts as lost. */
const STALL_MILLISECONDS = 30_000;
const UNREADABLE = -1;
const REFUSED = new Set([400, 413, 415, 422, UNREADABLE]);

/** The upload in progress, or null; it outlives the view that began it. */
export const upload = new Store(null);

/** Why the last upload ended, or null; said on the first view also when it was left meanwhile. */
export const refusal = new Store(null);

const keyOf = (file) => `upload.${file.name}|${file.size}|${file.lastModified}`;

/** Uploads that a reload or a closed tab has stopped, from this browser's memory. */
export function stoppedUploads() {
  return memory
    .keys("upload.")
    .map((key) => memory.read(key))
    .filter((kept) => kept && Date.now() < kept.until);
}

/** Forget a stopped upload, here and on the server. */
export async function discardUpload(kept) {
  refusal.set(null);
  for (const key of memory.keys("upload.")) if (memory.read(key)?.upload_id === kept.upload_id) memory.drop(key);
  await call(`/api/uploads/${id(kept.upload_id)}`, { method: "DELETE" }).catch(() => {});
}

/** Return the field by which a piece that was changed on its way is refused; only secure pages can compute digests. */
async function digestOf(piece) {
  if (!crypto.subtle) return {};
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await piece.arrayBuffer()));
  return { "Content-Digest": `sha-256=:${btoa(String.fromCharCode(...digest))}:` };
}

/** Send one piece; XMLHttpRequest reports how much of it has left. */
async function sendPiece(uploadId, offset, piece, onProgress, signal) {
  const digest = await digestOf(piece);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open("PATCH", `/api/uploads/${id(uploadId)}`);
    const fields = { ...identity(), ...digest, "Accept-Language": currentLanguage() };
    fields["Upload-Offset"] = String(offset);
    fields["Content-Type"] = "application/offset+octet-stream";
    for (const [name, value] of Object.entries(fields)) request.setRequestHeader(name, value);
    request.responseType = "text";
    const lost = () => reject(new Problem({ type: "connection", title: t("problem-connection"), detail: t("problem-connection-detail") }));
    const stall = () => {
      lost();
      request.abort();
    };
    let watch = setTimeout(stall, STALL_MILLISECONDS);
    request.upload.onprogress = (event) => {
      clearTimeout(watch);
      watch = setTimeout(stall, STALL_MILLISECONDS);
      onProgress(event.loaded);
    };
    request.onload = () => {
      let members = {};
      try {
        members = JSON.parse(request.responseText);
      } catch {
        // A proxy's page.
      }
      if (request.status < 300) resolve(members.offset);
      else reject(new Problem({ title: t("problem-status", { status: request.status }), ...members, status: request.status }));
    };
    request.onerror = lost;
    request.onabort = () => reject(signal.aborted ? signal.reason : new DOMException("", "AbortError"));
    request.onloadend = () => {
      clearTimeout(watch);
      signal.removeEventListener("abort", abort);
    };
    signal.addEventListener("abort", abort);
    request.send(piece);
  });
}

/** A file that was moved or changed since it was chosen, or a folder: the browser fails as if the connection were lost. */
async function assertReadable(file, piece) {
  try {
    await piece.slice(0, 1).arrayBuffer();
  } catch {
    throw new Problem({ type: "page", title: t("upload-unreadable-title"), detail: t("upload-unreadable", { name: file.name }), status: UNREADABLE });
  }
}

async function begin(file, signal) {
  const kept = memory.read(keyOf(file));
  if (kept) {
    try {
      return { ...kept, ...(await call(`/api/uploads/${id(kept.upload_id)}`, { signal })) };
    } catch (error) {
      // It has expired, or was finished; begin again.
      if (asProblem(error).status !== 404) throw error;
    }
  }
  const opened = await call("/api/uploads", {
    method: "POST",
    json: { name: file.name, size_bytes: file.size },
    signal,
    repeatable: true,
  });
  const entry = { ...opened, name: file.name, size: file.size, until: Date.now() + 86_400_000 };
  memory.write(keyOf(file), entry);
  return entry;
}

/**
 * Upload a file and return the description of its data set.
 *
 * @param {File} file the file
 * @throws {Problem} the server refuses it
 */
export async function uploadFile(file) {
  const controller = new AbortController();
  const { signal } = controller;
  const state = { name: file.name, size: file.size, sent: 0, stage: "sending", cancel: () => controller.abort(), retrying: false };
  upload.set(state);
  refusal.set(null);
  try {
    if (file.size === 0) throw new Problem({ type: "page", title: t("upload-empty-title"), detail: t("upload-empty", { name: file.name }) });
    const { upload_id: uploadId, offset: start, chunk_bytes: size } = await begin(file, signal);
    let offset = start;
    upload.update({ sent: offset, resumed: offset > 0 });
    for (let failures = 0; offset < file.size; ) {
      const piece = file.slice(offset, Math.min(file.size, offset + size));
      try {
        const from = offset;
        offset = await sendPiece(uploadId, offset, piece, (loaded) => upload.update({ sent: from + loaded, retrying: false }), signal);
        failures = 0;
        const kept = memory.read(keyOf(file));
        if (kept) memory.write(keyOf(file), { ...kept, offset });
        upload.update({ sent: offset, retrying: false });
      } catch (error) {
        const problem = asProblem(error);
        signal.throwIfAborted();
        await assertReadable(file, piece);
        failures += 1;
        const passing = [0, 408, 409, 429].includes(problem.status) || problem.status >= 500;
        if (!passing || problem.status === 507 || failures > RETRIES) throw error;
        upload.update({ retrying: true });
        await pause(Math.min(5000, 300 * 2 ** failures), signal);
        // The server knows how much it has; a piece whose answer was lost is not sent twice.
        offset = (await call(`/api/uploads/${id(uploadId)}`, { signal, tries: Infinity })).offset;
      }
    }
    upload.update({ stage: "reading", sent: file.size });
    const described = await call(`/api/uploads/${id(uploadId)}/dataset`, { method: "POST", json: {}, signal, repeatable: true });
    memory.drop(keyOf(file));
    return described;
  } catch (error) {
    const kept = memory.read(keyOf(file));
    // A file that is refused will be refused again; what only stopped goes on when the file is chosen again.
    if (kept && (signal.aborted || REFUSED.has(asProblem(error).status))) await discardUpload(kept);
    if (!signal.aborted) refusal.set(asProblem(error));
    throw error;
  } finally {
    upload.set(null);
  }
}
