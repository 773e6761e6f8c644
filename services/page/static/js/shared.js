// A report that somebody shared: to be read, and nothing else.
import { call, credentials } from "./api.js";
import { Details, Figures, fileName, Summary } from "./answer.js";
import { Gates, Ledger } from "./ledger.js";
import { html, useEffect, useState } from "./lib.js";
import { Busy, Failure, Heading, useLoaded } from "./parts.js";
import { Exports } from "./share.js";
import { t } from "./text.js";

/** Send the token of the address with every request of this page; a fragment reaches no server log. */
function takeToken() {
  credentials.headers = { "Share-Token": location.hash.slice(1) };
}

export function Shared() {
  useState(takeToken);
  useEffect(() => {
    const renewed = () => location.reload();
    addEventListener("hashchange", renewed);
    return () => {
      removeEventListener("hashchange", renewed);
      credentials.headers = {};
    };
  }, []);
  const { value, problem, again } = useLoaded(async (signal) => {
    const [report, annotation] = await Promise.all([call("/api/shared", { signal }), call("/api/shared/annotation", { signal })]);
    return { report, annotation };
  }, []);
  if (problem?.status === 404) return html`<${Heading}>${t("shared-gone-title")}<//><p>${problem.detail}</p>`;
  if (problem) return html`<${Heading}>${t("shared-title")}<//><${Failure} problem=${problem} again=${again} />`;
  if (!value) return html`<${Heading}>${t("shared-title")}<//><${Busy} />`;
  const { report, annotation } = value;
  return html`
    <p class="muted">${t("shared-lead")}</p>
    ${annotation.title && html`<p class="title"><strong><bdi>${annotation.title}</bdi></strong></p>`}
    ${annotation.notes && html`<p class="notes"><bdi>${annotation.notes}</bdi></p>`}
    <${Summary} report=${report} />
    ${report.identification && html`<${Ledger} identification=${report.identification} />`}
    <${Gates} gates=${report.gates} />
    <${Figures} report=${report} prefix="/api/shared" />
    <section aria-label=${t("export")}><${Exports} path="/api/shared/export" file=${fileName(report)} /></section>
    <${Details} report=${report} />
  `;
}
