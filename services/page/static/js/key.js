// The API key of a person, where the services need one. It is in the memory of this page alone and ends with it.
import { Store } from "./lib.js";

/** Whether the page asks for a key, and whether the last one was refused. */
export const signIn = new Store({ wanted: false, refused: false });

/** Whether somebody has said who they are, by a key or a sign-in that is not refused. */
export const held = new Store(false);

let key = "";
let waiting = null;

/** Return the key in use, empty without one. */
export const currentKey = () => key;

/** Return the header fields of the key. */
export const keyFields = () => (key ? { Authorization: `Bearer ${key}` } : {});

/** Use a key from now on, also for the requests that wait for one. */
export function useKey(text) {
  key = text;
  held.set(true);
  signIn.set({ wanted: false, refused: false });
  waiting?.resolve();
  waiting = null;
}

/** Use no key any more. */
export function forgetKey() {
  key = "";
  held.set(false);
}

/** Ask for another key than the one that was refused; resolve once there is one. Questions at the same time are one. */
export function askForKey(refused, signal) {
  if (key !== refused) return Promise.resolve();
  held.set(false);
  if (!waiting) {
    waiting = {};
    waiting.promise = new Promise((resolve) => {
      waiting.resolve = resolve;
    });
    signIn.set({ wanted: true, refused: refused !== "" });
  }
  const left = new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  return Promise.race([waiting.promise, left]);
}
