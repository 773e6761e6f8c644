// Figures, drawn here from the specifications of the API; where that fails, the server's drawing.
import { call, isAbort, save, send } from "./api.js";
import { html, useEffect, useRef, useState } from "./lib.js";
import { currentLanguage, t } from "./text.js";

const OPTIONS = { ast: true, actions: false, defaultStyle: false, tooltip: { disableDefaultStyle: true }, renderer: "svg" };

let loading = null;

/** Load Vega when the first figure is seen. */
function vega() {
  loading ??= import("../vendor/vega.js").then(() => window.vegaEmbed);
  loading.catch(() => {
    loading = null;
  });
  return loading;
}

/**
 * One figure with its title and downloads.
 *
 * @param {{address: string, name: string, title: string, file: string}} props `address`: the API's address of its SVG
 */
export function Figure({ address, name, title, file }) {
  const frame = useRef(null);
  const view = useRef(null);
  const [state, setState] = useState("waiting");
  useEffect(() => {
    const stop = new AbortController();
    let drawing = null;
    let picture = null;
    const draw = async () => {
      setState("drawing");
      try {
        const [embed, spec] = await Promise.all([vega(), call(address.replace(/\.svg(?=$|\?)/, ".json"), { signal: stop.signal })]);
        if (stop.signal.aborted) return;
        drawing = await embed(frame.current, spec, OPTIONS);
        view.current = drawing.view;
        const svg = frame.current.querySelector("svg");
        svg?.setAttribute("aria-hidden", "true");
        for (const part of svg?.querySelectorAll("[role],[tabindex]") ?? []) {
          part.removeAttribute("role");
          part.removeAttribute("tabindex");
        }
        setState("drawn");
      } catch (error) {
        if (isAbort(error) || stop.signal.aborted) return;
        try {
          const response = await send(address, { signal: stop.signal });
          picture = URL.createObjectURL(await response.blob());
          setState({ picture });
        } catch (second) {
          if (!isAbort(second)) setState("failed");
        }
      }
    };
    // Drawn when it comes near the window, so that thirty figures do not delay the first.
    const watcher = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        watcher.disconnect();
        draw();
      },
      { rootMargin: "400px" },
    );
    watcher.observe(frame.current);
    return () => {
      stop.abort();
      watcher.disconnect();
      drawing?.finalize();
      view.current = null;
      if (picture) URL.revokeObjectURL(picture);
    };
  }, [address, currentLanguage()]);
  const [broken, setBroken] = useState(false);
  const savePicture = async (suffix) => {
    setBroken(false);
    try {
      if (view.current && suffix === "svg") save(new Blob([await view.current.toSVG()], { type: "image/svg+xml" }), `${file}-${name}.svg`);
      else if (view.current) save(await pngOf(view.current), `${file}-${name}.png`);
      else save(await (await send(address.replace(/\.svg(?=$|\?)/, `.${suffix}`))).blob(), `${file}-${name}.${suffix}`);
    } catch {
      setBroken(true);
    }
  };
  return html`<figure class="figure">
    <figcaption>${title}</figcaption>
    <div class="plot" role="img" aria-label=${title} aria-busy=${state === "drawing"}>
      <div class="paper" ref=${frame} hidden=${state.picture || state === "failed"}></div>
      ${state.picture && html`<img class="paper" src=${state.picture} alt="" />`}
      ${state === "failed" && html`<p>${t("figure-failed")}</p>`}
      ${(state === "waiting" || state === "drawing") && html`<p class="muted">${t("figure-drawing")}</p>`}
    </div>
    <p class="actions">
      <button type="button" class="plain" onClick=${() => savePicture("svg")} aria-label=${`SVG: ${title}`}>SVG</button>
      <button type="button" class="plain" onClick=${() => savePicture("png")} aria-label=${`PNG: ${title}`}>PNG</button>
      ${broken && html`<span role="alert">${t("figure-failed")}</span>`}
    </p>
  </figure>`;
}

async function pngOf(view) {
  const canvas = await view.toCanvas(2);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"));
}
