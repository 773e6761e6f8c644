// Values of panels with their units, and the marks of their axes.
import { bytes, currentLanguage, moment, number, percent, t } from "./text.js";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

const inUnit = (value, unit) => new Intl.NumberFormat(currentLanguage(), { style: "unit", unit, unitDisplay: "narrow", maximumSignificantDigits: 3 }).format(value);

function seconds(value) {
  const size = Math.abs(value);
  if (size === 0) return inUnit(0, "second");
  if (size < 1) return inUnit(value * 1000, "millisecond");
  if (size < 2 * MINUTE) return inUnit(value, "second");
  if (size < 2 * HOUR) return inUnit(value / MINUTE, "minute");
  if (size < 2 * DAY) return inUnit(value / HOUR, "hour");
  return inUnit(value / DAY, "day");
}

const FORMATS = {
  ratio: (value) => percent(value, Math.abs(value) < 0.01 ? 2 : 1),
  seconds,
  bytes,
  bytes_per_second: (value) => t("per-second", { value: bytes(value) }),
  per_second: (value) => t("per-second", { value: number(value, 3) }),
  requests_per_second: (value) => t("per-second", { value: number(value, 3) }),
  cores: (value) => number(value, 3),
  timestamp: (value) => moment(new Date(value * 1000).toISOString()),
};

/** Return a value with its unit. */
export function withUnit(value, unit) {
  if (value === null || value === undefined) return "–";
  return (FORMATS[unit] ?? ((each) => number(each, 3)))(value);
}

const LENGTHS = [1, 2, 5, 10, 20, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY];

/** Return the marks of an axis from the lowest to the highest value: three to six round numbers, of seconds round times. */
export function marks(low, high, unit) {
  const rough = (high - low || Math.abs(high) || 1) / 4;
  const base = unit === "seconds" && rough > 2 * DAY ? DAY : 1;
  const power = 10 ** Math.floor(Math.log10(rough / base)) * base;
  const lengths = unit === "seconds" && base === 1 && rough > 1 ? LENGTHS : [1, 2, 2.5, 5, 10].map((each) => each * power);
  const step = lengths.find((each) => each >= rough);
  const found = [];
  for (let place = Math.ceil(low / step - 1e-9); place * step <= high + step * 1e-9; place += 1) found.push(place * step);
  return found;
}

const STEPS = [MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 182 * DAY, 365 * DAY, 730 * DAY];

/** Return round times between two, at most as many as given, in the time zone of the reader. */
export function timeMarks(start, end, most) {
  const step = STEPS.find((each) => (end - start) / each <= most) ?? STEPS.at(-1);
  const zone = new Date(start * 1000).getTimezoneOffset() * MINUTE;
  const found = [];
  for (let at = Math.ceil((start - zone) / step) * step + zone; at <= end; at += step) found.push(at);
  return found;
}

/** Return a time on an axis, with the day where the axis spans several, and the year where it spans most of one. */
export function clockTime(at, span) {
  const day = { month: "numeric", day: "numeric" };
  const formats = [[730 * DAY, { year: "numeric", month: "numeric" }], [300 * DAY, { year: "2-digit", ...day }], [2 * DAY, day]];
  const [, format] = formats.find(([least]) => span > least) ?? [0, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }];
  return new Intl.DateTimeFormat(currentLanguage(), format).format(new Date(at * 1000));
}

/** Return a moment with its seconds, and with its year where that is another one. */
export function exactTime(at) {
  const year = new Date(at * 1000).getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  return new Intl.DateTimeFormat(currentLanguage(), { ...year, month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).format(new Date(at * 1000));
}
