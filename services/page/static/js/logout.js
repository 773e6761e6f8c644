// Logging out: nothing of a person stays in this browser, in any tab of it.
import { forgetKey, held } from "./key.js";
import { html, memory } from "./lib.js";
import { useStore } from "./parts.js";
import { leftHere } from "./provider.js";
import { t } from "./text.js";

const NOT_PERSONAL = "language";
const tabs = "BroadcastChannel" in self ? new BroadcastChannel("cqox.log-out") : null;

/** Forget who uses this page, and what is kept of their work: choices hold names of columns. */
function end() {
  forgetKey();
  leftHere();
  for (const key of memory.keys("")) if (key !== NOT_PERSONAL) memory.drop(key);
  // What the views hold ends with the page.
  location.assign("/");
}

tabs?.addEventListener("message", () => held.value && end());

/** The button to log out; nothing where nobody has said who they are. */
export function LogOut() {
  if (!useStore(held)) return null;
  const leave = () => {
    tabs?.postMessage("");
    end();
  };
  return html`<button type="button" class="plain" onClick=${leave}>${t("log-out")}</button>`;
}
