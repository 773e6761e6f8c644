// Views of data, for those whose key or sign-in may read data; a plain sentence for the others.
import { call } from "./api.js";
import { html } from "./lib.js";
import { Heading, useLoaded } from "./parts.js";
import { t } from "./text.js";

const NEEDED = ["datasets:read", "analyses:read", "jobs:read"];

/** The view of data that it holds; without the permissions for it, what the roles of the visitor are for. */
export function DataView({ children }) {
  // An answer that fails says nothing about permissions: the view then shows what fails.
  const { value } = useLoaded((signal) => call("/api/me", { signal }), [], { spoken: false });
  if (!value || NEEDED.every((each) => value.permissions.includes(each))) return children;
  return html`<${Heading}>${t("no-data-title")}<//>
    <p>${value.roles.length > 0 ? t("no-data-roles", { roles: value.roles.join(", "), tenant: value.tenant }) : t("no-data-scopes", { tenant: value.tenant })}</p>
    <p>${t("no-data-help")}</p>`;
}
