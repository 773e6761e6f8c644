// Elements as tagged templates; text is always text, never markup.
import htm from "../vendor/htm.js";
import { h, render, Fragment } from "../vendor/preact.js";

export { useCallback, useEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
export { Fragment, render };
export const html = htm.bind(h);

/** A value that views subscribe to. */
export class Store {
  #listeners = new Set();
  constructor(value) {
    this.value = value;
  }
  set(value) {
    this.value = value;
    for (const listener of [...this.#listeners]) listener(value);
  }
  update(part) {
    this.set({ ...this.value, ...part });
  }
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Random hexadecimal digits; `crypto.randomUUID` exists on secure pages only. */
export function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Resolve after some milliseconds, or reject when the signal aborts. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Values in the browser's storage, which may be full, blocked or damaged. */
export const memory = {
  read(key) {
    try {
      return JSON.parse(localStorage.getItem(`cqox.${key}`));
    } catch {
      return null;
    }
  },
  write(key, value) {
    try {
      localStorage.setItem(`cqox.${key}`, JSON.stringify(value));
    } catch {
      // Without storage a reload forgets drafts; everything else works.
    }
  },
  drop(key) {
    try {
      localStorage.removeItem(`cqox.${key}`);
    } catch {
      // As above.
    }
  },
  keys(prefix) {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(`cqox.${prefix}`)).map((key) => key.slice(5));
    } catch {
      return [];
    }
  },
};
