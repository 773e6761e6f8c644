// Sentences in the language of the reader, and numbers and times as that language writes them.
import { memory } from "./lib.js";

export const LANGUAGES = { en: "English", ja: "日本語" };

let language = "en";
let sentences = {};
let latest = null;

export const currentLanguage = () => language;

/** Load the sentences of the chosen language, unless a later choice overtook it; the shell's language is the default. */
export async function loadText(chosen) {
  const stored = memory.read("language");
  const wanted = chosen ?? (stored in LANGUAGES ? stored : document.documentElement.lang);
  latest = wanted;
  const response = await fetch(`/page/text.${wanted}.json`);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const loaded = await response.json();
  if (latest !== wanted) return;
  sentences = loaded;
  language = wanted;
  if (chosen) memory.write("language", chosen);
  document.documentElement.lang = language;
}

const isolate = (value) => (typeof value === "number" ? number(value) : `\u2068${value}\u2069`);

/**
 * Return the sentence of a code, its fields filled: `{name}`, or `{rows:count row}` with the noun in its number, as in
 * the catalogs of the server. Text of users is isolated, so that its direction is its own.
 */
export function t(code, values = {}) {
  const found = sentences[code];
  if (found === undefined) return code;
  return found.replace(/\{(\w+)(?::count ([^}]*))?\}/g, (field, name, noun) => {
    if (!(name in values)) return field;
    return noun ? `${number(values[name])} ${inNumber(noun, values[name])}` : isolate(values[name]);
  });
}

function inNumber(noun, count) {
  const [one, several = `${noun}s`] = noun.split("/");
  return count === 1 ? one : several;
}

/** Return a number with four significant digits. */
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return new Intl.NumberFormat(language).format(value);
  const size = Math.abs(value);
  const notation = size !== 0 && (size >= 1e9 || size < 1e-4) ? "scientific" : "standard";
  return new Intl.NumberFormat(language, { maximumSignificantDigits: digits, notation }).format(value);
}

/** Return a share as a percentage. */
export function percent(value, digits = 1) {
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: digits }).format(value);
}

/** Return a change as a signed percentage. */
export function signedPercent(value) {
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" }).format(value);
}

/** Return a size in bytes with its unit. */
export function bytes(value) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  let power = 0;
  while (value >= 1000 && power < units.length - 1) {
    value /= 1000;
    power += 1;
  }
  const format = { style: "unit", unit: units[power], unitDisplay: "short", maximumSignificantDigits: 3 };
  return new Intl.NumberFormat(language, format).format(value);
}

/** Return a moment in the reader's time zone. */
export function moment(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/** Return a duration in seconds or minutes. */
export function duration(seconds) {
  const [value, unit] = seconds < 90 ? [Math.round(seconds), "second"] : [Math.round(seconds / 60), "minute"];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(value);
}
