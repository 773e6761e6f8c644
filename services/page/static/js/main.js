// The page: its frame, its language, and the view of the address.
import { DataView } from "./access.js";
import { Answer } from "./answer.js";
import { asProblem, connection } from "./api.js";
import { Dashboards } from "./dashboard.js";
import { Dataset } from "./dataset.js";
import { placeOf } from "./draft.js";
import { History } from "./history.js";
import { html, render, useState } from "./lib.js";
import { LogOut } from "./logout.js";
import { Failure, Heading, useStore } from "./parts.js";
import { TableInPlace } from "./place.js";
import { route, startRouting } from "./route.js";
import { Job } from "./run.js";
import { Shared } from "./shared.js";
import { SignedIn, SignIn } from "./signin.js";
import { Start } from "./start.js";
import { currentLanguage, LANGUAGES, loadText, t } from "./text.js";
import { upload } from "./upload.js";

const root = document.getElementById("page");

function Page() {
  const { view, id } = useStore(route);
  const { lost } = useStore(connection);
  const [, setLanguage] = useState(currentLanguage());
  const [problem, setProblem] = useState(null);
  const choose = async (language) => {
    try {
      await loadText(language);
      setLanguage(currentLanguage());
      setProblem(null);
    } catch {
      setProblem({ title: t("problem-connection"), detail: t("problem-connection-detail") });
    }
  };
  return html`
    <a class="skip" href="#main">${t("skip")}</a>
    <header class="bar">
      <a class="brand" href="/">CQOx</a>
      ${view !== "shared" &&
      html`<nav aria-label=${t("navigation")}>
        <a href="/" aria-current=${view === "start" ? "page" : undefined}>${t("new-analysis")}</a>
        <a href="/history" aria-current=${view === "history" ? "page" : undefined}>${t("history")}</a>
        <a href="/dashboard" aria-current=${view === "dashboard" ? "page" : undefined}>${t("dashboard")}</a>
        <a href="/docs" target="_blank" rel="noopener">API</a>
      </nav>`}
      <${LogOut} />
      <div class="languages" role="group" aria-label=${t("language")}>
        ${Object.entries(LANGUAGES).map(([language, name]) => html`<button type="button" class="plain" lang=${language} aria-pressed=${language === currentLanguage()} onClick=${() => choose(language)}>${name}</button>`)}
      </div>
    </header>
    ${lost && html`<p class="lost" role="alert">${t("connection-lost")}</p>`}
    ${problem && html`<div class="wrap"><${Failure} problem=${problem} /></div>`}
    <${SignIn} />
    <main class=${view === "dashboard" ? "wrap wide" : "wrap"} id="main"><${View} view=${view} id=${id} /></main>
    <footer class="wrap muted small"><p>${t("footer")}</p></footer>
  `;
}

function View({ view, id }) {
  if (view === "shared") return html`<${Shared} />`;
  if (view === "sign-in") return html`<${SignedIn} />`;
  // People who operate the services need not be able to read data.
  if (view === "dashboard") return html`<${Dashboards} board=${id} />`;
  return html`<${DataView}><${OwnView} view=${view} id=${id} /><//>`;
}

function OwnView({ view, id }) {
  if (view === "start") return html`<${Start} />`;
  if (view === "dataset" && placeOf(id)) return html`<${TableInPlace} datasetId=${id} key=${id} />`;
  if (view === "dataset") return html`<${Dataset} datasetId=${id} key=${id} />`;
  if (view === "job") return html`<${Job} jobId=${id} key=${id} />`;
  if (view === "answer") return html`<${Answer} analysisId=${id} key=${id} />`;
  if (view === "history") return html`<${History} />`;
  return html`<${Heading}>${t("unknown-title")}<//><p>${t("unknown")}</p><p><a href="/">${t("start-over")}</a></p>`;
}

/** A fault of the page itself: said, never a blank page. */
function fail(error) {
  // The console keeps where it happened, for whoever reports it.
  console.error(error);
  render(null, root);
  render(html`<main class="wrap"><${Failure} problem=${asProblem(error)} again=${() => location.reload()} /></main>`, root);
}

addEventListener("error", (event) => event.error && fail(event.error));
addEventListener("unhandledrejection", (event) => event.reason?.name !== "AbortError" && fail(event.reason));
addEventListener("beforeunload", (event) => upload.value && event.preventDefault());

try {
  await loadText();
  startRouting();
  root.replaceChildren();
  render(html`<${Page} />`, root);
} catch (error) {
  root.querySelector("main").textContent = document.documentElement.lang === "ja" ? "ページを読み込めませんでした。再読み込みしてください。" : "The page could not be loaded. Reload it.";
  throw error;
}
