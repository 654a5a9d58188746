// Every word of the page, in one place, to be put into another language. What the API says of an error comes from the API.
//
// {name} stands for a value; where a text depends on a count, it has a form for each plural category of the language, chosen by {n}.

const texts = {
  app: {
    name: "Mailroom",
    title: "{title} · Mailroom",
    skip: "Skip to the content",
    navigation: "Main",
    conversations: "Conversations",
    mailboxes: "Mailboxes",
    operations: "Operations",
    signedInAs: "Signed in as {user}",
    administrator: "administrator",
    signIn: "Sign in",
    signOut: "Sign out",
    signInAgain: "Sign in again",
    welcome: "Your team's mail, on the right customer",
    welcomeText: "Sign in to connect a mailbox, import its history, and read and answer mail where your customers are.",
    lost: "Your sign-in has ended. Nothing you typed is lost: sign in again, and it goes on.",
    signInFailed: "You are not signed in",
    signInFailedText: "The sign-in did not come to its end ({code}). Try again; if that keeps happening, show this to whoever runs Mailroom for you.",
    notFound: "There is nothing here",
    notFoundText: "The address may be of something that is gone.",
    unreachable: "The sign-in service cannot be reached",
    unreachableText: "Check your connection, then load the page again.",
    reload: "Load again",
    newerPage: "This part of the page could not be loaded",
    newerPageText: "A newer version may be there. Load the page again; drafts are kept.",
  },
  common: {
    cancel: "Cancel",
    close: "Close",
    save: "Save",
    saved: "Saved.",
    undo: "Undo",
    back: "Back",
    copy: "Copy",
    copied: "Copied.",
    more: "Show more",
    retry: "Try again",
    loading: "Loading…",
    never: "never",
    now: "just now",
    optional: "optional",
    yes: "Yes",
    no: "No",
    from: "from",
    details: "Details",
    requestId: "Request {id}",
    unknown: "unknown",
  },
  problem: {
    offline: "Mailroom cannot be reached",
    offlineText: "Check your connection. The page tries again by itself.",
    internal: "Something went wrong on our side",
    internalText: "Try again in a minute. If it stays, tell whoever runs Mailroom for you, with the request's number below.",
    too_many_requests: "That was too much at once",
    too_many_requestsText: "Wait a moment, then try again.",
  },
  acts: {
    user: "You can mend this.",
    tenant_admin: "Your administrator has to act.",
    operator: "Whoever runs Mailroom has to act. Nothing for you to do.",
    provider: "The mail provider has to act. Mailroom tries again by itself.",
    time: "This mends itself. Nothing to do.",
  },
  // ---- mailboxes
  // ---- mailbox
  // ---- connect
  // ---- imports
  // ---- conversations
  // ---- thread
  // ---- compose
  // ---- operations
};

const LOCALE = navigator.languages.find((one) => /^en\b/i.test(one)) ?? "en-GB";
const plurals = new Intl.PluralRules(LOCALE);
const numbers = new Intl.NumberFormat(LOCALE);
const relative = new Intl.RelativeTimeFormat(LOCALE, { numeric: "auto" });
const days = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium" });
const instants = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(LOCALE, { timeStyle: "short" });

/** The text of `key` with `values` in their places. Numbers are written as the language does. */
export function t(key, values = {}) {
  let text = key.split(".").reduce((part, name) => part?.[name], texts);
  if (typeof text === "object") text = text[plurals.select(values.n)] ?? text.other;
  if (text === undefined) throw new Error(`no text ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? numbers.format(values[name]) : (values[name] ?? "")));
}

/** Whether there is a text of this key, where a code of the API chooses it. */
export const hasText = (key) => key.split(".").reduce((part, name) => part?.[name], texts) !== undefined;

export const formatNumber = (number) => numbers.format(number);
export const formatDay = (instant) => days.format(new Date(instant));
export const formatInstant = (instant) => instants.format(new Date(instant));
export const formatClock = (instant) => clock.format(new Date(instant));

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const STEPS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** "in 5 minutes", "3 hours ago"; a date where it is further away than a week. */
export function formatRelative(instant, now = Date.now()) {
  const seconds = (new Date(instant).getTime() - now) / 1000;
  if (Math.abs(seconds) < 45) return t("common.now");
  if (Math.abs(seconds) > 7 * 86400) return formatDay(instant);
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size * 0.75);
  return relative.format(Math.round(seconds / size), unit);
}

/** A length of time in its largest unit: "4 minutes". */
export function formatDuration(seconds) {
  const [unit, size] = STEPS.find(([, size]) => seconds >= size) ?? STEPS[STEPS.length - 1];
  const number = Math.max(1, Math.round(seconds / size));
  return new Intl.NumberFormat(LOCALE, { style: "unit", unit, unitDisplay: "long" }).format(number);
}

/** @type {[string, number][]} */
const SIZES = [
  ["gigabyte", 1e9],
  ["megabyte", 1e6],
  ["kilobyte", 1e3],
  ["byte", 1],
];

/** "1.4 MB" */
export function formatBytes(bytes) {
  const [unit, size] = SIZES.find(([, size]) => bytes >= size) ?? SIZES[SIZES.length - 1];
  /** @type {Intl.NumberFormatOptions} */
  const options = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: bytes / size < 10 ? 1 : 0 };
  return new Intl.NumberFormat(LOCALE, options).format(bytes / size);
}
