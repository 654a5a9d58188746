// Who is signed in, at the operator's OpenID provider: authorization code with PKCE (RFC 6749 4.1, RFC 7636; OpenID Connect Core 3.1).
//
// Tokens live in this tab's sessionStorage: they outlast a sign-in at a mail provider, which leaves the page, and end with the tab.
// Signing in again opens a window of its own, so that what somebody is typing stays where it is.

const STORED = "mailroom.session";
const BEGUN = "mailroom.sign-in";
const EARLY = 30_000;
const NEWS = "mailroom-returned";
const OFFLINE = "offline";

export const pageUrl = new URL("../app", import.meta.url).href;
export const apiUrl = new URL("..", import.meta.url).href.replace(/\/$/, "");

let settings = null;
let provider = null;
let renewing = null;
let isForgotten = false;
const waiting = new Set();
const channel = new BroadcastChannel(NEWS);
const listeners = new Set();
const forgetters = new Set();

/** The deployment's settings, asked once. */
export async function loadSettings() {
  settings ??= await asked(new URL("settings.json", import.meta.url));
  return settings;
}

/** Call `listener(isLost)` when the sign-in is lost, and when it is there again. */
export function onSession(listener) {
  listeners.add(listener);
}

/** Call `listener()` before what this tab keeps of a person is forgotten; the page is left after that. */
export function onForget(listener) {
  forgetters.add(listener);
}

function forget() {
  for (const listener of forgetters) listener();
  isForgotten = true;
  sessionStorage.clear();
}

/** Keep something in this tab for whoever is signed in. What ends after they were forgotten is forgotten with them. */
export function store(name, value) {
  if (!isForgotten) sessionStorage.setItem(name, JSON.stringify(value));
}

export const isSignedIn = () => read() !== null;

/** A token that is good for some time yet. Waits for the person to sign in again where it cannot be renewed. */
export async function token() {
  // Of whoever signed in instead, while the page is left: not of whom this page is.
  if (isForgotten) await new Promise(() => {});
  const stored = read();
  if (stored && stored.until - EARLY > Date.now()) return stored.token;
  await renew(stored?.token);
  return read().token;
}

/** Renew the sign-in of which `refused` was the token: by itself where that works, else when the person has signed in again. */
export async function renew(refused) {
  // Another call may have renewed it meanwhile.
  if (read() && read().token !== refused) return;
  renewing ??= refresh().finally(() => (renewing = null));
  if (await renewing) return;
  tell(true);
  await new Promise((done) => waiting.add(done));
}

async function refresh() {
  const stored = read();
  if (!stored?.refresh) return false;
  const answer = await ask({ grant_type: "refresh_token", refresh_token: stored.refresh }).catch((error) => {
    // A broken line, or a provider in trouble, is no end of a sign-in: the caller's request fails, and may be tried again.
    if (error.code === OFFLINE) throw error;
    return {};
  });
  // Who signed in again or out meanwhile had the last word.
  if (read()?.token !== stored.token) return isSignedIn();
  const isRenewed = Boolean(answer[settings.token]);
  if (isRenewed) keep({ refresh_token: stored.refresh, id_token: stored.id, ...answer }, stored.person);
  // Sent once more, a token that was refused looks like a thief's.
  else store(STORED, { ...stored, refresh: null });
  return isRenewed;
}

/** Go to the provider to sign in, and come back to where we are. No provider shows itself inside of a page of somebody else. */
export async function signIn() {
  if (window.top !== window) return signInBeside();
  leave(await begin());
}

function leave(address) {
  sessionStorage.setItem("mailroom.place", location.hash);
  location.assign(address);
}

/** Sign in in a window of its own, which tells this one. To be called at a click, else browsers do not open it. */
export async function signInBeside() {
  const beside = window.open("about:blank", "mailroom-sign-in", "popup,width=520,height=680");
  try {
    const address = await begin();
    if (beside) beside.location.replace(address);
    else leave(address);
  } catch (error) {
    beside?.close();
    throw error;
  }
}

/** Forget the sign-in and all else this tab keeps of the person, and sign out at the provider where it has a page for that. */
export async function signOut() {
  const id = read()?.id;
  forget();
  const end = (await discover().catch(() => null))?.end_session_endpoint;
  // No provider shows itself inside of a page of somebody else.
  if (!end || window.top !== window) return location.assign(pageUrl);
  // The second is Cognito's name for it.
  const query = new URLSearchParams({ client_id: settings.client_id, post_logout_redirect_uri: pageUrl, logout_uri: pageUrl });
  if (id) query.set("id_token_hint", id);
  location.assign(`${end}?${query}`);
}

async function begin() {
  const { authorization_endpoint: endpoint } = await discover();
  const [verifier, state, nonce] = [secret(), secret(), secret()];
  store(BEGUN, { verifier, state, nonce });
  const query = new URLSearchParams({
    response_type: "code", client_id: settings.client_id, redirect_uri: pageUrl, scope: settings.scope, state, nonce,
    code_challenge: await challenge(verifier), code_challenge_method: "S256",
  });
  // Auth0 signs a token for an API only when it is named; others leave it aside.
  if (settings.token === "access_token") query.set("audience", settings.audience);
  return `${endpoint}${endpoint.includes("?") ? "&" : "?"}${query}`;
}

/**
 * What this page was called with when a provider sent the browser back: `{query, hash}`, or null when it was not.
 * In a window that another one opened, that one is told and this one closes.
 */
export function returned() {
  const query = new URLSearchParams(location.search);
  if (!query.has("state") && !query.has("error") && !query.has("mailroom_outcome")) return null;
  const news = { kind: NEWS, query: Object.fromEntries(query), hash: Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
  // The code leaves the address bar and the history before anything else reads it.
  history.replaceState(null, "", location.pathname);
  const opener = ourOpener();
  if (query.has("mailroom_outcome") ? !opener : isOurs(news)) return news;
  if (opener) opener.postMessage(news, location.origin);
  else channel.postMessage(news);
  window.close();
  return { ...news, elsewhere: true };
}

/** Call `take({query, hash})` with what a window of ours came back with. */
export function onReturned(take) {
  const hear = ({ origin, data }) => origin === location.origin && data?.kind === NEWS && isOurs(data) && take(data);
  window.addEventListener("message", hear);
  channel.addEventListener("message", hear);
}

/**
 * End a sign-in with what the provider sent the browser back with. `whoIs(token)` asks the API who that is, in which tenant: what
 * is in a token is the issuer's affair. Throws what it throws, or an Error with `error` as its `code`.
 * @param {{code?: string, state?: string, error?: string}} news
 * @param {(token: string) => Promise<{tenant_id: string, user_id: string}>} whoIs
 */
export async function finishSignIn({ code, state, error }, whoIs) {
  const begun = readBegun();
  if (!begun || begun.state !== state) throw failure("other_sign_in");
  sessionStorage.removeItem(BEGUN);
  if (error) throw failure(/^[a-z_]{1,40}$/.test(error) ? error : "refused");
  const answer = await ask({ grant_type: "authorization_code", code, redirect_uri: pageUrl, code_verifier: begun.verifier });
  if (answer.id_token && claims(answer.id_token).nonce !== begun.nonce) throw failure("other_sign_in");
  if (!answer[settings.token]) throw failure("no_token");
  const { tenant_id: tenant, user_id: user } = await whoIs(answer[settings.token]);
  const person = JSON.stringify([tenant, user]);
  const isAnother = isSignedIn() && read().person !== person;
  // What waits was asked for by somebody else, and what is shown and what this tab keeps is theirs.
  if (isAnother) forget();
  keep(answer, person);
  if (isAnother) {
    location.reload();
    return new Promise(() => {});
  }
  tell(false);
  for (const done of waiting) done();
  waiting.clear();
}

/** Where the person was before signing in left the page. */
export function takePlace() {
  const place = sessionStorage.getItem("mailroom.place");
  sessionStorage.removeItem("mailroom.place");
  return place ?? "";
}

async function ask(fields) {
  const { token_endpoint: endpoint } = await discover();
  const body = new URLSearchParams({ client_id: settings.client_id, ...fields });
  return asked(endpoint, { method: "POST", body });
}

/**
 * @param {string | URL} address
 * @param {RequestInit} [options]
 */
async function asked(address, options) {
  const response = await fetch(address, options).catch(() => null);
  const content = await response?.json().catch(() => null);
  if (!content || response.status >= 500 || response.status === 429) throw failure(OFFLINE);
  if (!response.ok) throw failure(content.error ?? "refused");
  return content;
}

function keep(answer, person) {
  const used = answer[settings.token];
  const { iat, exp } = claims(used);
  // By how long it lasts: the clocks here and there may differ by more than that.
  const until = Date.now() + (exp - iat || answer.expires_in || 300) * 1000;
  const stored = { token: used, refresh: answer.refresh_token ?? null, id: answer.id_token ?? null, until, person };
  sessionStorage.setItem(STORED, JSON.stringify(stored));
}

async function discover() {
  await loadSettings();
  provider ??= await asked(`${settings.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  return provider;
}

const readBegun = () => JSON.parse(sessionStorage.getItem(BEGUN) ?? "null");

/**
 * The window of this page that opened this one. A provider's page may have cut the two apart (its Cross-Origin-Opener-Policy): the channel
 * reaches that one still, but for one that is embedded in a page of another site.
 */
function ourOpener() {
  try {
    return window.opener?.origin === location.origin ? window.opener : null;
  } catch {
    return null;
  }
}

/** Whether a browser was sent back for something this tab has begun. */
const isOurs = ({ query }) => "mailroom_outcome" in query || (readBegun() ?? { state: null }).state === query.state;
const read = () => JSON.parse(sessionStorage.getItem(STORED) ?? "null");
const tell = (isLost) => listeners.forEach((listener) => listener(isLost));
const failure = (code) => Object.assign(new Error(), { code });

/** What a token says. Of what is read here nothing decides what anybody may do: the API does. */
function claims(token) {
  try {
    const text = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (one) => one.charCodeAt(0))));
  } catch {
    return {};
  }
}

const secret = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function challenge(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}
