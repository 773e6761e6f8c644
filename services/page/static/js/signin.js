// The form that asks for an API key; see key.js.
import { signIn, useKey } from "./key.js";
import { html, useEffect, useRef } from "./lib.js";
import { useStore } from "./parts.js";
import { t } from "./text.js";

/** Ask for a key above the view, which waits as it is; nothing while none is needed. */
export function SignIn() {
  const { wanted, refused } = useStore(signIn);
  const field = useRef(null);
  useEffect(() => {
    if (wanted) field.current?.focus();
  }, [wanted]);
  if (!wanted) return null;
  const submit = (event) => {
    event.preventDefault();
    const text = field.current.value.trim();
    if (text) useKey(text);
  };
  return html`<section class="wrap" aria-labelledby="sign-in">
    <form class="card" onSubmit=${submit}>
      <h2 id="sign-in">${t("key-title")}</h2>
      <p id="key-help">${t("key-help")}</p>
      ${refused && html`<p role="alert"><strong>${t("key-refused")}</strong></p>`}
      <p><label for="key">${t("key")}</label> <input id="key" type="password" autocomplete="off" spellcheck=${false} aria-describedby="key-help" ref=${field} /></p>
      <p class="actions"><button type="submit" class="primary">${t("key-use")}</button></p>
    </form>
  </section>`;
}
