// The time of a dashboard: a length that ends now, or a span between two moments of the reader's choice.
import { html } from "./lib.js";
import { t } from "./text.js";

const DAY = 86_400;
const RANGES = { operations: [900, 3600, 10_800, 21_600, DAY], analysis: [DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY, 1826 * DAY] };
const USUAL = { operations: 3600, analysis: 30 * DAY };
/** What a server takes at most, and what makes two moments. */
const LONGEST = { operations: 31 * DAY, analysis: 3660 * DAY };
const SHORTEST = 60;
const NAMES = { 900: "range-15m", 3600: "range-1h", 10800: "range-3h", 21600: "range-6h", 86400: "range-24h", 604800: "range-7d", 2592000: "range-30d", 7776000: "range-90d", 31536000: "range-1y", 157766400: "range-5y" };
const CHOSEN = "chosen";

/** The time that an address asks for: its length, and its ends where they do not move. */
export function rangeOf(board, query) {
  const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
  if (from && to) return { length: to - from, from, to };
  const asked = Number(query.get("range"));
  const known = board in RANGES ? board : "operations";
  return { length: RANGES[known].includes(asked) ? asked : USUAL[known], from: null, to: null };
}

/** Why a time cannot be asked for; null where it can. */
export function rangeProblem(board, { length }) {
  const longest = LONGEST[board] ?? LONGEST.operations;
  if (length < SHORTEST) return t("range-empty");
  return length > longest ? t("range-too-long", { days: longest / DAY }) : null;
}

/** The ends of a time as they are now, in seconds since the epoch. */
export function endsOf({ length, from, to }) {
  const now = Date.now() / 1000;
  return from === null ? [now - length, now] : [from, to];
}

/** A moment as an input of local time takes it. */
function localTime(at) {
  const moment = new Date(at * 1000);
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function RangeChoice({ board, range, set }) {
  const lengths = RANGES[board] ?? RANGES.operations;
  const fixed = range.from !== null;
  const choose = (value) => {
    if (value !== CHOSEN) return set({ range: value, from: "", to: "" });
    const [from, to] = endsOf(range).map((at) => Math.floor(at / 60) * 60);
    return set({ from, to });
  };
  const end = (name, label) => html`<div>
    <label for=${`choice-${name}`}>${label}</label>
    <input id=${`choice-${name}`} type="datetime-local" value=${localTime(range[name])} onChange=${(event) => event.target.value && set({ from: range.from, to: range.to, [name]: Math.round(new Date(event.target.value).getTime() / 1000) })} />
  </div>`;
  return html`<div>
      <label for="choice-range">${t("time-range")}</label>
      <select id="choice-range" onChange=${(event) => choose(event.target.value)}>
        ${lengths.map((each) => html`<option value=${each} selected=${!fixed && each === range.length}>${t(NAMES[each])}</option>`)}
        <option value=${CHOSEN} selected=${fixed}>${t("range-chosen")}</option>
      </select>
    </div>
    ${fixed && end("from", t("range-from"))} ${fixed && end("to", t("range-to"))}`;
}
