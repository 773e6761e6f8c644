// Addresses of the page: which view an address shows, and moving without a reload.
import { Store } from "./lib.js";

const ROUTES = [
  [/^\/$/, "start"],
  [/^\/d\/([^/]+)$/, "dataset"],
  [/^\/j\/([^/]+)$/, "job"],
  [/^\/a\/([^/]+)$/, "answer"],
  [/^\/history$/, "history"],
  [/^\/dashboard(?:\/([^/]+))?$/, "dashboard"],
  [/^\/s$/, "shared"],
  [/^\/sign-in$/, "sign-in"],
];

const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

function current() {
  for (const [pattern, view] of ROUTES) {
    const match = pattern.exec(location.pathname);
    if (match) return { view, id: match[1] && decoded(match[1]), query: new URLSearchParams(location.search) };
  }
  return { view: "unknown", query: new URLSearchParams() };
}

export const route = new Store(current());

/** Show another address. */
export function go(path, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", path);
  route.set(current());
  if (!replace) scrollTo(0, 0);
}

/** Follow links within the page without a reload, and the browser's back and forward. */
export function startRouting() {
  addEventListener("popstate", () => route.set(current()));
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    if (link.origin !== location.origin || link.target || link.download) return;
    if (link.pathname === location.pathname && link.hash) return;
    if (!ROUTES.some(([pattern]) => pattern.test(link.pathname))) return;
    event.preventDefault();
    go(link.pathname + link.search + link.hash);
  });
}
