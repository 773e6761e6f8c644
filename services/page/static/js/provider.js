// Sign-in by an OpenID provider: authorization code with PKCE. The token is in the memory of this page alone.
import { go } from "./route.js";

const KEPT = "cqox.sign-in";
const AGAIN_MILLISECONDS = 10_000;
const PATH = "/page/sign-in";

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}

/** Return where to sign in; null where only keys are taken. */
export async function provider() {
  const response = await fetch(PATH, { cache: "no-store" });
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
}

/** Whether a reload may lead to the provider without a question: one has signed in here, and not a moment ago. */
export const mayReturn = () => kept().done === true && Date.now() - (kept().at ?? 0) > AGAIN_MILLISECONDS;

/** Whether somebody has just logged out in this tab. */
export const hasLeft = () => kept().left === true;

/** Remember that somebody has logged out: a reload leads to no provider, whose session would let them in again. */
export function leftHere() {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ left: true }));
  } catch {
    // Without storage nothing leads back either.
  }
}

/** Forget it: somebody is here again. */
export function arrived() {
  if (hasLeft()) sessionStorage.removeItem(KEPT);
}

/** Return where a session at the provider is ended; null where it does not say. */
export function ending({ end_session, client_id }) {
  if (!end_session) return null;
  const target = new URL(end_session);
  target.searchParams.set("client_id", client_id);
  return target.href;
}

/** Leave for the provider, and come back to this address. */
export async function leave({ address, client_id, resource, scope }) {
  const [verifier, state] = [random(), random()];
  sessionStorage.setItem(KEPT, JSON.stringify({ verifier, state, back: location.pathname + location.search, at: Date.now() }));
  const challenge = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
  const query = { response_type: "code", client_id, redirect_uri: `${location.origin}/sign-in`, scope, resource, state, code_challenge: challenge, code_challenge_method: "S256" };
  const target = new URL(address);
  for (const [name, value] of Object.entries(query)) target.searchParams.set(name, value);
  location.assign(target);
}

/**
 * Redeem the code with which the provider sent the browser back, and return the token.
 *
 * @throws {Error} the answer is not that of the question that was asked here, or the code is refused
 */
export async function redeem(query) {
  const { verifier, state, back } = kept();
  sessionStorage.removeItem(KEPT);
  if (!state || query.get("state") !== state || !query.get("code")) throw new Error(query.get("error") ?? "state");
  const body = JSON.stringify({ code: query.get("code"), code_verifier: verifier, redirect_uri: `${location.origin}/sign-in` });
  const response = await fetch(PATH, { method: "POST", headers: { "Content-Type": "application/json" }, body, cache: "no-store" });
  if (!response.ok) throw new Error(String(response.status));
  const { access_token } = await response.json();
  sessionStorage.setItem(KEPT, JSON.stringify({ done: true, at: Date.now() }));
  go(back ?? "/", { replace: true });
  return access_token;
}
