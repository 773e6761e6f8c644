// Parts that several views use.
import { asProblem } from "./api.js";
import { html, useEffect, useRef, useState } from "./lib.js";
import { currentLanguage, t } from "./text.js";

const STEPS = ["step-data", "step-roles", "step-preview", "step-run", "step-answer", "step-compare", "step-share"];

/** Subscribe to a store. */
export function useStore(store) {
  const [value, setValue] = useState(store.value);
  useEffect(() => {
    setValue(store.value);
    return store.listen(setValue);
  }, [store]);
  return value;
}

/**
 * Load something; returns `{value, problem, again}`. What was shown stays while it is loaded again, in another language
 * too, so that nobody loses what they were filling in.
 *
 * @param {{spoken?: boolean}} options `spoken`: whether the answer holds sentences, in the reader's language
 */
export function useLoaded(load, dependencies, { spoken = true } = {}) {
  const [state, setState] = useState({ value: null, problem: null });
  const [turn, setTurn] = useState(0);
  const subject = useRef(null);
  useEffect(() => {
    const stop = new AbortController();
    const same = subject.current !== null && subject.current.every((each, place) => each === dependencies[place]);
    subject.current = dependencies;
    setState((before) => ({ value: same ? before.value : null, problem: null }));
    load(stop.signal).then(
      (value) => stop.signal.aborted || setState({ value, problem: null }),
      (error) => stop.signal.aborted || setState({ value: null, problem: asProblem(error) }),
    );
    return () => stop.abort();
  }, [...dependencies, turn, spoken && currentLanguage()]);
  return { ...state, again: () => setTurn((before) => before + 1), set: (value) => setState({ value, problem: null }) };
}

/** The heading of a view; it takes the focus, so that a screen reader begins there, but not from the switch of language. */
export function Heading({ children, title }) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = `${title ?? children} · CQOx`;
    if (!document.activeElement?.closest(".languages")) heading.current?.focus({ preventScroll: true });
  }, [title ?? children]);
  return html`<h1 tabindex="-1" ref=${heading}>${children}</h1>`;
}

/** The seven steps; those that have an address are links. */
export function Steps({ current, links = {} }) {
  return html`<nav class="steps" aria-label=${t("steps")}>
    <ol>
      ${STEPS.map(
        (step, number) => html`<li aria-current=${number === current ? "step" : undefined} class=${number < current ? "done" : ""}>
          <span class="count" aria-hidden="true">${number + 1}</span>
          ${links[step] ? html`<a href=${links[step]}>${t(step)}</a>` : html`<span>${t(step)}</span>`}
        </li>`,
      )}
    </ol>
  </nav>`;
}

/** Refusals that the same request may not meet again; any other 4xx is met again for certain. */
const PASSING = new Set([404, 408, 409, 412, 429]);

/** What went wrong, and what to do. */
export function Failure({ problem, again: retry, children }) {
  if (!problem) return null;
  const again = problem.status >= 400 && problem.status < 500 && !PASSING.has(problem.status) ? null : retry;
  const { title, detail, choices = [], request_id: request } = problem;
  return html`<div class="failure" role="alert">
    ${title && html`<p><strong>${title}</strong></p>`}
    <p>${detail}</p>
    ${choices.length > 0 && choices.length <= 30 && html`<p>${t("choices")} ${choices.map((choice) => html`<bdi class="chip">${String(choice)}</bdi> `)}</p>`}
    ${request && html`<p class="muted small">${t("request-id", { id: request })}</p>`}
    <p class="actions">
      ${again && html`<button type="button" onClick=${again}>${t("try-again")}</button>`} ${children}
    </p>
  </div>`;
}

/** A sentence while something loads. */
export const Busy = ({ text }) => html`<p class="busy" role="status"><span class="spinner" aria-hidden="true"></span> ${text ?? t("loading")}</p>`;

/** A measure of progress between 0 and 1, or of work without a known end. */
export function Progress({ share, label }) {
  return html`<progress max="1" value=${share ?? undefined} aria-label=${label}></progress>`;
}

const MARKS = { pass: "✓", warn: "!", fail: "✕", not_applicable: "–", supported: "✓", declared: "◇", untested: "?", contradicted: "✕", GO: "✓", CANARY: "!", HOLD: "✕" };

/** A state as a word with a mark; colour alone says nothing. */
export function Badge({ state, text, large }) {
  return html`<span class=${`badge ${state.toLowerCase()} ${large ? "large" : ""}`}><span aria-hidden="true">${MARKS[state] ?? ""}</span> ${text}</span>`;
}

/** Ask before something is lost; `onYes` may be asynchronous. */
export function Confirm({ question, yes, onYes, onClose }) {
  const dialog = useRef(null);
  const [state, setState] = useState({});
  useEffect(() => dialog.current.showModal(), []);
  const run = async () => {
    setState({ busy: true });
    try {
      await onYes();
      onClose();
    } catch (error) {
      setState({ problem: asProblem(error) });
    }
  };
  return html`<dialog ref=${dialog} onClose=${onClose} aria-label=${question}>
    <p>${question}</p>
    <${Failure} problem=${state.problem} />
    <p class="actions">
      <button type="button" class="danger" disabled=${state.busy} onClick=${run}>${yes}</button>
      <button type="button" onClick=${() => dialog.current.close()}>${t("cancel")}</button>
    </p>
  </dialog>`;
}

/** Rows under named columns; wide tables scroll within their frame. */
export function Table({ caption, head, children, wide }) {
  return html`<div class="scroll" tabindex=${wide ? 0 : undefined} role=${wide ? "region" : undefined} aria-label=${wide ? caption : undefined}>
    <table>
      <caption class="hidden">${caption}</caption>
      <thead><tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
      <tbody>${children}</tbody>
    </table>
  </div>`;
}
