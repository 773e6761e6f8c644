// Drawings of a panel: lines over time, bands of states, bars and numbers. SVG without a library.
import { html, useEffect, useRef, useState } from "./lib.js";
import { t } from "./text.js";
import { clockTime, exactTime, marks, timeMarks, withUnit } from "./units.js";

const HEIGHT = 190;
const LEFT = 62;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 22;
const BAND = 26;

/** The width of an element in pixels, as it changes. */
function useWidth() {
  const box = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.round(entry.contentRect.width)));
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  return [box, width];
}

/** Whether a value warns or alarms; small values are the bad ones where the alarm lies below the warning. */
export function gravity(value, { warn, alarm }) {
  if (value === null || value === undefined) return "";
  const falling = warn !== null && alarm !== null && alarm < warn;
  const beyond = (limit) => limit !== null && (falling ? value <= limit : value >= limit);
  return beyond(alarm) ? "alarm" : beyond(warn) ? "warn" : "";
}

/** The last value of a line. */
export const last = (line) => line.points.at(-1)?.[1];

/** The class that gives a line its colour and dashes, by its place. */
export const shade = (place) => `c${place % 8} d${Math.floor(place / 8) % 3}`;

function stackedUp(series) {
  const below = new Map();
  return series.map((line) => ({
    ...line,
    points: line.points.map(([at, value]) => {
      const base = below.get(at) ?? 0;
      below.set(at, base + value);
      return [at, base + value, base];
    }),
  }));
}

/** The parts of a line without a gap: a time without a point breaks it. */
function runs(points, step) {
  const found = [];
  for (const point of points) {
    const run = found.at(-1);
    if (run && point[0] - run.at(-1)[0] < step * 1.5) run.push(point);
    else found.push([point]);
  }
  return found;
}

const path = (points, x, y) => points.map(([at, value], place) => `${place ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");

/** The newest time before or at a moment, and the moves of a cursor by pointer and keys. */
function useCursor(times, toTime, onMove) {
  const nearest = (at) => times.reduce((best, each) => (Math.abs(each - at) < Math.abs(best - at) ? each : best), times[0]);
  const move = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    onMove(nearest(toTime(event.clientX - box.left)));
  };
  const press = (current) => (event) => {
    const place = current === null ? times.length : times.indexOf(current);
    const next = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: times.length - 1 }[event.key];
    if (event.key === "Escape") onMove(null);
    else if (next !== undefined) onMove(times[Math.min(times.length - 1, Math.max(0, next))]);
    else return;
    event.preventDefault();
  };
  return { move, press };
}

/** Lines over time. */
export function Lines({ panel, data, hidden, cursor, onCursor }) {
  const [box, width] = useWidth();
  const { start, end, step } = data;
  const shown = data.series.map((line, place) => ({ ...line, place })).filter((line) => !hidden.has(line.name));
  const series = panel.stacked ? stackedUp(shown) : shown;
  const values = series.flatMap((line) => line.points.map(([, value]) => value));
  const highest = Math.max(...values, 0);
  const lowest = Math.min(...values, 0);
  // A limit far above all values would press them flat.
  const limits = [["warn", panel.warn], ["alarm", panel.alarm]].filter(([, limit]) => limit !== null && limit <= Math.max(highest * 2, panel.unit === "ratio" ? 0.05 : 0) && limit >= lowest);
  const top = Math.max(highest, ...limits.map(([, limit]) => limit)) || 1;
  const steps = marks(lowest, top * 1.05, panel.unit);
  const most = Math.max(top * 1.05, steps.at(-1) ?? 0);
  const inner = Math.max(10, width - LEFT - RIGHT);
  const x = (at) => LEFT + ((at - start) / (end - start || 1)) * inner;
  const y = (value) => TOP + (1 - (value - lowest) / (most - lowest || 1)) * (HEIGHT - TOP - BOTTOM);
  const times = [...new Set(series.flatMap((line) => line.points.map(([at]) => at)))].sort((a, b) => a - b);
  const { move, press } = useCursor(times, (pixel) => start + ((pixel - LEFT) / inner) * (end - start), onCursor);
  return html`<div class="chart" ref=${box} tabindex="0" role="group" aria-label=${t("chart-of", { title: panel.title })} onKeyDown=${press(cursor)} onBlur=${() => onCursor(null)}>
    ${width > 0 &&
    html`<svg width=${width} height=${HEIGHT} viewBox=${`0 0 ${width} ${HEIGHT}`} aria-hidden="true" onPointerMove=${move} onPointerDown=${move} onPointerLeave=${() => onCursor(null)}>
      ${steps.map((value) => html`<g key=${value}><line class="grid" x1=${LEFT} x2=${width - RIGHT} y1=${y(value)} y2=${y(value)} /><text class="tick" x=${LEFT - 6} y=${y(value) + 4} text-anchor="end">${withUnit(Math.abs(value) < 1e-12 ? 0 : value, panel.unit)}</text></g>`)}
      ${timeMarks(start, end, Math.max(2, Math.floor(inner / 90))).map((at) => html`<text key=${at} class="tick" x=${Math.min(x(at), width - 20)} y=${HEIGHT - 6} text-anchor="middle">${clockTime(at, end - start)}</text>`)}
      ${limits.map(([kind, limit]) => html`<line key=${kind} class=${`limit ${kind}`} x1=${LEFT} x2=${width - RIGHT} y1=${y(limit)} y2=${y(limit)} />`)}
      ${series.map((line) =>
        runs(line.points, step).map(
          (run) => html`
            ${panel.stacked && html`<path class=${`area ${shade(line.place)}`} d=${`${path(run, x, y)}${path([...run].reverse().map(([at, , base]) => [at, base]), x, y).replace("M", "L")}Z`} />`}
            ${run.length === 1 ? html`<circle class=${`dot ${shade(line.place)}`} cx=${x(run[0][0])} cy=${y(run[0][1])} r="2.5" />` : html`<path class=${`line ${shade(line.place)}`} d=${path(run, x, y)} />`}
          `,
        ),
      )}
      ${cursor !== null && html`<line class="cursor" x1=${x(cursor)} x2=${x(cursor)} y1=${TOP} y2=${HEIGHT - BOTTOM} />`}
    </svg>`}
  </div>`;
}

/** Bands over time, one for each line. */
export function States({ panel, data, cursor, onCursor }) {
  const [box, width] = useWidth();
  const { start, end, step, series } = data;
  const inner = Math.max(10, width - RIGHT);
  const x = (at) => ((at - start) / (end - start || 1)) * inner;
  const times = [...new Set(series.flatMap((line) => line.points.map(([at]) => at)))].sort((a, b) => a - b);
  const { move, press } = useCursor(times, (pixel) => start + (pixel / inner) * (end - start), onCursor);
  const height = series.length * (BAND + 14) + BOTTOM;
  const bands = (line) => {
    const found = [];
    for (const [at, value] of line.points) {
      const band = found.at(-1);
      if (band && band.value === value && at - band.to < step * 1.5) band.to = at;
      else found.push({ from: at, to: at, value });
    }
    return found;
  };
  const color = (value) => gravity(value, panel) || (panel.alarm === null && value === 0 ? "alarm" : "good");
  return html`<div class="chart" ref=${box} tabindex="0" role="group" aria-label=${t("chart-of", { title: panel.title })} onKeyDown=${press(cursor)} onBlur=${() => onCursor(null)}>
    ${width > 0 &&
    html`<svg width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} aria-hidden="true" onPointerMove=${move} onPointerDown=${move} onPointerLeave=${() => onCursor(null)}>
      ${series.map(
        (line, place) => html`<g key=${line.name} transform=${`translate(0 ${place * (BAND + 14)})`}>
          <text class="tick" x="0" y="11">${line.name}</text>
          ${bands(line).map((band) => html`<g><rect class=${`band ${color(band.value)}`} x=${x(band.from)} y="15" width=${Math.max(2, Math.min(x(band.to + step), inner) - x(band.from))} height=${BAND - 6} />${x(band.to + step) - x(band.from) > 24 && html`<text class="on-band" x=${x(band.from) + 6} y="30">${withUnit(band.value, panel.unit)}</text>`}</g>`)}
        </g>`,
      )}
      ${timeMarks(start, end, Math.max(2, Math.floor(inner / 90))).map((at) => html`<text key=${at} class="tick" x=${Math.min(Math.max(x(at), 18), width - 20)} y=${height - 6} text-anchor="middle">${clockTime(at, end - start)}</text>`)}
      ${cursor !== null && html`<line class="cursor" x1=${x(cursor)} x2=${x(cursor)} y1="0" y2=${height - BOTTOM} />`}
    </svg>`}
  </div>`;
}

/** The newest value of every line, large, with its course. */
export function Numbers({ panel, data }) {
  return html`<dl class="stats">
    ${data.series.map((line) => {
      const state = gravity(last(line), panel);
      return html`<div key=${line.name} class=${state}>
        <dt>${line.name}</dt>
        <dd>${withUnit(last(line), panel.unit)} ${state && html`<span class=${`badge ${state === "alarm" ? "fail" : "warn"}`}>${t(state === "alarm" ? "state-alarm" : "state-warn")}</span>`}</dd>
        <${Course} data=${data} line=${line} />
      </div>`;
    })}
  </dl>`;
}

function Course({ data, line }) {
  const highest = Math.max(...line.points.map(([, value]) => value)) || 1;
  const x = (at) => ((at - data.start) / (data.end - data.start || 1)) * 100;
  const y = (value) => 22 - (Math.max(0, value) / highest) * 20;
  return html`<svg class="course" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
    ${runs(line.points, data.step).map((run) => html`<path class="line c0" d=${path(run, x, y)} />`)}
  </svg>`;
}

/** One bar for each line, the greatest first. */
export function Bars({ panel, data }) {
  const series = [...data.series].sort((a, b) => last(b) - last(a));
  const highest = Math.max(...series.map((line) => Math.abs(last(line)))) || 1;
  return html`<dl class="bars">
    ${series.map(
      (line) => html`<div key=${line.name}>
        <dt>${line.name}</dt>
        <dd><meter min="0" max=${highest} value=${Math.abs(last(line))} aria-hidden="true"></meter> <span>${withUnit(last(line), panel.unit)}</span></dd>
      </div>`,
    )}
  </dl>`;
}

/** The value of a line at a time. */
export const valueAt = (line, at) => line.points.find(([time]) => time === at)?.[1];

/** Names and values of lines at the cursor, else the newest; each can be hidden. */
export function Legend({ panel, data, hidden, onToggle, cursor }) {
  const [all, setAll] = useState(false);
  const shown = all ? data.series : data.series.slice(0, 6);
  return html`<div class="legend">
    <p class="muted small" aria-live=${cursor === null ? "off" : "polite"}>${cursor === null ? t("newest") : exactTime(cursor)}</p>
    <ul>
      ${shown.map((line, place) => {
        const value = cursor === null ? last(line) : valueAt(line, cursor);
        return html`<li key=${line.name}>
          <button type="button" class="plain" aria-pressed=${!hidden.has(line.name)} onClick=${() => onToggle(line.name)}>
            ${panel.kind === "timeseries" && html`<svg class="key" viewBox="0 0 16 8" aria-hidden="true"><path class=${`line ${shade(place)}`} d="M0 4L16 4" /></svg>`}<span>${line.name}</span>
          </button>
          <span class="number">${withUnit(value, panel.unit)}</span>
        </li>`;
      })}
    </ul>
    ${data.series.length > 6 && html`<button type="button" class="plain small" onClick=${() => setAll(!all)}>${all ? t("show-less") : t("show-all-lines", { count: data.series.length })}</button>`}
  </div>`;
}
