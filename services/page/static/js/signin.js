// The form that asks who somebody is: by the provider, where there is one, or by an API key; see key.js and provider.js.
import { signIn, useKey } from "./key.js";
import { html, useEffect, useRef, useState } from "./lib.js";
import { Busy, Failure, Heading, useStore } from "./parts.js";
import { arrived, ending, hasLeft, leave, mayReturn, provider, redeem } from "./provider.js";
import { route } from "./route.js";
import { t } from "./text.js";
import { upload } from "./upload.js";

/** Ask above the view, which waits as it is; nothing while nobody has to be known. */
export function SignIn() {
  const { wanted, refused } = useStore(signIn);
  const [found, setFound] = useState(null);
  const field = useRef(null);
  useEffect(() => {
    if (!wanted) return;
    provider().then(
      (known) => {
        setFound(known);
        // An upload would be interrupted: the person decides.
        if (known && mayReturn() && !upload.value) leave(known);
        else if (!known) field.current?.focus();
      },
      () => field.current?.focus(),
    );
  }, [wanted]);
  if (!wanted) return null;
  const submit = (event) => {
    event.preventDefault();
    const text = field.current.value.trim();
    if (!text) return;
    arrived();
    useKey(text);
  };
  const session = found && hasLeft() && ending(found);
  return html`<section class="wrap" aria-labelledby="sign-in">
    <form class="card" onSubmit=${submit}>
      <h2 id="sign-in">${t("key-title")}</h2>
      ${hasLeft() && html`<p role="status"><strong>${t("logged-out")}</strong></p>`}
      ${session && html`<p>${t("logged-out-provider")} <a href=${session}>${t("log-out-provider")}</a></p>`}
      ${found && html`<p class="actions"><button type="button" class="primary" onClick=${() => leave(found)}>${t("sign-in")}</button></p>`}
      <p id="key-help">${t("key-help")}</p>
      ${refused && html`<p role="alert"><strong>${t("key-refused")}</strong></p>`}
      <p><label for="key">${t("key")}</label> <input id="key" type="password" autocomplete="off" spellcheck=${false} aria-describedby="key-help" ref=${field} /></p>
      <p class="actions"><button type="submit" class=${found ? "" : "primary"}>${t("key-use")}</button></p>
    </form>
  </section>`;
}

/** The address to which the provider sends the browser back. */
export function SignedIn() {
  const [failed, setFailed] = useState(false);
  useEffect(() => void redeem(route.value.query).then(useKey, () => setFailed(true)), []);
  return html`<${Heading}>${t("sign-in")}<//>${failed ? html`<${Failure} problem=${{ title: t("sign-in-failed"), detail: t("sign-in-failed-help") }} /><p><a href="/">${t("start-over")}</a></p>` : html`<${Busy} />`}`;
}
