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
  mailboxes: {
    title: "Mailboxes",
    connect: "Connect a mailbox",
    connectTo: { gmail: "Connect Gmail", outlook: "Connect Outlook", imap: "Connect another mailbox" },
    empty: "Connect your first mailbox",
    emptyText: "Mail you exchange with your customers then shows where they are, the past as far back as you like, and you can answer it here. You can disconnect at any time.",
    search: "Search by address, name, owner or state",
    found: { one: "{n} of {all}", other: "{n} of {all}" },
    noMatch: "No mailbox matches",
    noMatchText: "Look for a part of its address, name, owner, purpose or state.",
    showAll: "Show all",
    group: { attention: { one: "Needs attention", other: "Need attention ({n})" }, well: { one: "Running", other: "Running ({n})" }, disconnected: { one: "Disconnected", other: "Disconnected ({n})" } },
    provider: { gmail: "Gmail", outlook: "Outlook", imap: "IMAP" },
    purpose: { personal: "Personal", sales: "Sales", support: "Support", billing: "Billing", other: "Other" },
    state: {
      in_sync: "In sync", late: "Late", connecting: "Connecting", first_look: "First look", retrying: "Trying again", troubled: "Needs attention", not_sending: "Not sending",
      reconnect_required: "Reconnect needed", disconnected: "Disconnected",
    },
    primary: "Your primary",
    shared: "Shared",
    untrusted: "Certificate not checked",
    owner: "of {user}",
    anyMoment: "in a moment",
    looked: "Looked {last}",
    notLooked: "Not looked yet",
    lookedOnly: "{looked}.",
    lookedAndNext: "{looked}, next {next}.",
    lastEver: "Last looked {last}.",
    importing: { planning: "Import: counting", running: "Import under way", waiting: "Import waiting", paused: "Import paused", other: "Mail of contacts is fetched" },
    percent: "{percent} %",
    left: "{time} left",
    direction: { inbound: "Receiving", outbound: "Sending", push: "Being told of news" },
    reconnectText: "The provider no longer lets Mailroom in.",
    notYours: "The mailbox's owner or an administrator has to act.",
    since: { one: "Since {since}.", other: "Since {since}, {n} times." },
    again: "Next try {next}.",
    reconnect: "Reconnect",
    signInInstead: "Connect by signing in",
    changeSettings: "Change settings",
    tryNow: "Try now",
    trying: "Mailroom looks now. What comes of it shows here.",
    askAdmin: "Ask your administrator",
    askText: "Send this to whoever looks after {name}. The link leads to the mailbox.",
    whatToDo: "What to do",
    adminText: "{fix} Where {provider} is looked after by somebody else, send them this.",
    letter: "The mailbox {address} in Mailroom needs your help.\n\nWhat is the matter: {message} ({code})\nWhat helps: {fix}\n\n{link}",
    copyText: "Copy the text",
    copyLink: "Copy the link",
  },
  // ---- mailbox
  mailbox: {
    tabs: "Parts of the mailbox",
    tab: { overview: "Overview", import: "Import", runs: "Runs", folders: "Folders", settings: "Settings" },
    more: "More for this mailbox",
    state: {
      in_sync: "In sync. {times}",
      late: "Late: it was to be looked at {late}. Mailroom does so as soon as it can; nothing is lost. {times}",
      first_look: "Mailroom takes its first look. New mail shows in a moment.",
      connecting: "The mailbox is being set up. This takes a minute at most.",
      retrying: "In trouble, and tried again by itself. {times}",
      troubled: "Nothing new comes in until somebody acts. {times}",
      not_sending: "Mail comes in, but does not go out. {times}",
      reconnect_required: "Stopped until it is reconnected: nothing comes in or goes out. What is here stays. {times}",
      disconnected: "Disconnected. Its history stays; nothing new comes in and nothing goes out. {times}",
    },
    sync: "Sync now",
    syncing: "Looking at the provider…",
    syncSlow: "This takes longer than usual. You need not wait: it goes on without you.",
    syncLost: "No word of this sync yet. See the runs for what came of it.",
    synced: "Looked: {came}",
    test: "Send a test message",
    write: "Write a mail",
    makePrimary: "Make it your primary",
    primaryMade: "{name} is your primary mailbox now: what you write goes from it.",
    disconnect: "Disconnect…",
    erase: "Erase its mail…",
    gone: "This mailbox is not there",
    goneText: "It may have been erased, or it is not shared with you. Ask its owner or an administrator.",
    allMailboxes: "All mailboxes",
    complete: "Completeness",
    completeNone: "Once a day Mailroom compares what is here with what the provider has. The first comparison is still to come.",
    completeShare: "{share} here or accounted for",
    completeText: { one: "Of {n} message at the provider, received {windows}, {here} is here or accounted for.", other: "Of {n} messages at the provider, received {windows}, {here} are here or accounted for." },
    completeEmpty: "The provider has no messages received {windows}.",
    window: { since: "since {since}", between: "from {since} to {before}", and: "{one} and {other}" },
    found: {
      stored: "Here",
      ledgered: "Not kept, for a reason a run names",
      under_way: "Come with the next look",
      missing: "Were missing",
      repaired: "Of these, fetched by now",
      extra: "Here, and gone at the provider",
      folders_left_out: "Folders that could not be compared",
    },
    checked: "Compared {at}. The newest mail is compared every day, older mail bit by bit.",
    checkedWhole: "All of it was last compared {at}.",
    checkedNever: "All of it has not been compared yet.",
    facts: "About it",
    fact: {
      address: "Address", provider: "Provider", owner: "Owner", purpose: "Purpose", kind: "Kind", connected: "Connected", history: "History", cadence: "Looks for mail", stores: "Keeps", visibility: "Others see",
      granted: "Read by", imap: "Receives from", smtp: "Sends through", note: "Recovery note", replyTo: "Replies go to", folders: "Folders",
    },
    kind: { personal: "Personal", shared: "Shared" },
    history: { none: "From when it was connected", days: { one: "The last day before it was connected", other: "{n} days before it was connected" } },
    cadence: { one: "Every minute", other: "Every {n} minutes" },
    stores: { all: "All mail", contacts_only: "Mail of contacts" },
    visibility: { metadata: "Who wrote, to whom and when", subject: "That, and the subject", full: "The whole mail" },
    granted: { everyone: "Everybody in your company", nobody: "Its owner alone" },
    foldersAll: "All but trash, spam and drafts",
    foldersChosen: { one: "{n} chosen", other: "{n} chosen" },
    server: "{host}, port {port}",
    certificate: "The server's certificate is not checked",
    certificateText: "Whoever can reach the network between Mailroom and the server could read this mailbox's mail and its password. Reconnect without it as soon as the server has a certificate of a public authority.",
  },
  // ---- runs, as the mailbox and the operator's view tell of them
  runs: {
    reason: {
      schedule: "On schedule", requested: "Asked for", connected: "Connected", continued: "Went on from the run before", push: "The provider told of news", backfill: "Import", replay: "Tried again what had failed",
      repair: "Fetched what was missing", contact_history: "History of a new contact",
    },
    nothing: "nothing new",
    stored: { one: "{n} message brought in", other: "{n} messages brought in" },
    already_stored: { one: "{n} here already", other: "{n} here already" },
    skipped: { one: "{n} left at the provider ({reasons})", other: "{n} left at the provider ({reasons})" },
    skippedFor: {
      before_history: "{n} older than the import", folder_not_active: "{n} in folders that are off", erased: "{n} of people who were erased", internal: "{n} among colleagues", blocked: "{n} blocked", automated: "{n} automated",
      no_contact: "{n} without a contact", test_message: "{n} a test of ours",
    },
    unreadable: { one: "{n} cannot be read", other: "{n} cannot be read" },
    goneCount: { one: "{n} gone before it was read", other: "{n} gone before they were read" },
    failed: { one: "{n} put off", other: "{n} put off" },
    flags_changed: { one: "{n} marked otherwise", other: "{n} marked otherwise" },
    moved: { one: "{n} moved", other: "{n} moved" },
    removed: { one: "{n} deleted at the provider", other: "{n} deleted at the provider" },
    contacts_made: { one: "{n} contact made", other: "{n} contacts made" },
    contacts_put_off: { one: "{n} sender not made a contact", other: "{n} senders not made contacts" },
  },
  // ---- connect
  // ---- imports
  imports: {
    title: "Import history",
    titleText: "Bring in mail from before it was connected. New mail comes in by itself.",
    titleMore: "A longer time brings in only what is missing.",
    howFar: "How far back",
    lastDays: { one: "The last day", other: "The last {n} days" },
    importOf: { one: "Import of the last day", other: "Import of the last {n} days" },
    start: "Start the import",
    count: "Show how much there is",
    counting: "Asking the provider. This takes 20 seconds at most.",
    there: { one: "{n} message", other: "{n} messages" },
    moreThan: { one: "more than {n} message", other: "more than {n} messages" },
    missing: { one: "{n} not here yet", other: "{n} not here yet" },
    missingMore: { one: "more than {n} not here yet", other: "more than {n} not here yet" },
    missingNone: "all here",
    missingUnknown: "not known how many are here",
    matching: { one: "{n} with your contacts", other: "{n} with your contacts" },
    matchingAbout: { one: "about {n} with your contacts", other: "about {n} with your contacts" },
    takes: "about {duration}",
    previewText: "As the provider counts, in the folders that are read.",
    sampled: { one: "How many are with your contacts is judged by {n} of them.", other: "How many are with your contacts is judged by {n} of them." },
    matchingUnknown: "How many are with your contacts could not be asked in time.",
    moreText: "Where it says more than, counting stopped there.",
    earlier: "Earlier imports",
    progress: "How far the import is",
    listing: "Listing what there is",
    of: "{done} of {listed} messages, {percent} %",
    noEta: "How long it takes shows after the first messages",
    left: "about {duration} left",
    goesOn: "It goes on by itself at {at}.",
    pausedText: "Paused. What is here stays; resume it when you like.",
    summary: "{stored} of {listed} messages stored",
    ledger: "What became of every message",
    fate: "Outcome",
    messages: "Messages",
    number: "{number}",
    listed: "All that were listed",
    notReached: "Not reached",
    fates: { stored: "Stored", already_stored: "Here already", unreadable: "Could not be read; kept at the provider", gone: "Deleted at the provider meanwhile", failed: "Failed" },
    skipped: {
      before_history: "Left out: too old",
      folder_not_active: "Left out: in no folder that is read",
      erased: "Left out: erased here before",
      internal: "Left out: between your own people",
      blocked: "Left out: blocked",
      automated: "Left out: sent by a machine",
      no_contact: "Left out: with none of your contacts",
      test_message: "Left out: a test message of ours",
    },
    skippedAs: "Left out: {reason}",
    kinds: { import: "Import", replay: "Messages tried again", repair: "Messages an audit found missing", contact_history: "History of new contacts" },
    states: { planning: "listing", running: "importing", waiting: "waiting", paused: "paused", done: "done", cancelled: "cancelled", failed: "stopped" },
    wishes: { pause: "pausing", resume: "going on", cancel: "cancelling" },
    actions: { pause: "Pause", resume: "Resume", cancel: "Cancel" },
    cancelTitle: "Cancel this import?",
    cancelText: "What was imported stays. To bring in the rest later, begin a new import: it fetches only what is missing.",
    cancelIt: "Cancel the import",
    goOn: "Go on importing",
  },
  // ---- conversations
  conversations: {
    title: "Conversations",
    contacts: "Contacts",
    addContact: "Add a contact",
    add: "Add",
    addContactText: "All mail with these addresses then stands on one timeline, also mail that is here already.",
    contactName: "Name",
    contactAddresses: "E-mail addresses",
    contactAddressesHint: "Several with a space between them.",
    nameMissing: "Say what the contact is called.",
    addressMissing: "Give whole addresses, as anna@company.example.",
    filterContacts: "Find a contact",
    noContactMatches: "No contact has that in a name or an address.",
    noAddress: "no address",
    allMail: "All mail",
    allMailText: "Newest first, from mailboxes you may open",
    write: "Write",
    writeTo: "Write to them",
    timeline: "Timeline",
    madeFromMail: "Made from their mail",
    noMailbox: "Connect a mailbox to begin",
    noMailboxText: "Mailroom shows the mail of connected mailboxes by the people it is with. Connect the first one; its history comes in at once.",
    connect: "Connect a mailbox",
    noContacts: "No contacts yet",
    noContactsText: "A contact is somebody you exchange mail with, known by their addresses. All mail with them, in every mailbox of the team, stands on one timeline. Your CRM adds contacts; you can add one here; a mailbox can make them of unknown senders.",
    noContactsHere: "There are no contacts yet. Add one, and all mail with them stands on one timeline.",
    letMailboxMake: "Let a mailbox make them",
    noMail: "No mail yet",
    noMailText: "Mail appears here once a mailbox has been synced, or its history imported.",
    noMailWith: "No mail with this contact yet",
    noMailWithText: "What they write from now on appears here by itself. For earlier mail, import more of a mailbox's history.",
    toMailboxes: "Go to mailboxes",
    found: "Found mail",
    nothingFound: "Nothing found",
    search: "Search",
    searchLabel: "Search mail",
    searchPlaceholder: "Words of a subject, or from:anna@company.example",
    searchHint: "Finds parts of subjects and whole addresses, in mailboxes that you may open. It does not look into what mails say. In the line above you can also type from:, to:, since:, until:, in: and folder:.",
    narrow: "Narrow the search",
    any: "Any",
    fields: {
      subject: "Subject has",
      from: "From",
      to: "To",
      since: "From this day on",
      until: "Until this day",
      in: "Mailbox",
      folder: "Folder",
    },
    wholeAddress: "Give the whole address, as anna@company.example, or the name of one contact.",
    wrongDate: "Write the day as 2026-01-31.",
    wrongOrder: "This is before the first day.",
    noSuchMailbox: "You have no mailbox of that name.",
    noSuchFolder: "The mailbox has no such folder.",
    folderNeedsMailbox: "Choose a mailbox for this folder too.",
    today: "Today",
    yesterday: "Yesterday",
    inbound: "Received from",
    outbound: "Sent",
    toWhom: "To {names}",
    andMore: { one: "{names} and {n} more", other: "{names} and {n} more" },
    unread: "unread",
    hasAttachments: "with attachments",
    noSubject: "No subject",
    subjectHidden: "Subject not shown to you",
    access: {
      metadata: "You see who wrote to whom, and when. The rest is its mailbox's owner's.",
      subject: "You see the subject. The rest is its mailbox's owner's.",
    },
    ambiguous: "{address} belongs to several contacts: {names}. This mail stands on all their timelines.",
    kinds: {
      calendar: "Invitation",
      signed: "Signed",
      encrypted: "Encrypted",
      tnef: "Outlook attachment",
      delivery_report: "Delivery report",
      bounce: "Could not be delivered",
      read_receipt: "Read receipt",
      auto_reply: "Automatic reply",
      automatic: "Sent by a machine",
      list: "Mailing list",
    },
  },
  thread: {
    title: "Conversation",
    with: "With",
    arrived: "{names} has written.",
    older: { one: "Show {n} older message", other: "Show {n} older messages" },
    messageFrom: "Message from {names}",
    from: "From",
    to: "To",
    cc: "Cc",
    date: "Date",
    frame: "What {from} wrote",
    asText: "Show as text",
    asHtml: "Show as it was sent",
    taller: "Taller",
    quoted: "Quoted text",
    cut: "This is the beginning: the whole is too large to be shown here.",
    tooLarge: "This is too large to be shown here. Open it in your mail program.",
    saysNothing: "This message has no text.",
    encrypted: "Encrypted: only a program that has the key can read it.",
    showPictures: { one: "Show {n} picture", other: "Show {n} pictures" },
    picturesText: "Pictures on the web are not loaded: by loading them the sender learns that you read this, when, and roughly where.",
    attachments: "Attachments",
    attachmentsNumber: { one: "{n} attachment", other: "{n} attachments" },
    noFilename: "unnamed file",
    download: "Download",
    downloadFile: "Download {name}",
    missing: {
      content_missing: "Its content is not here: the provider did not have it.",
      message_too_large: "Too large to be kept here. It is in your mail program.",
    },
    missingContent: "It could not be kept here. It is in your mail program.",
    invitation: {
      request: "Invitation",
      publish: "Event",
      reply: "Answer to an invitation",
      cancel: "Cancelled",
      counter: "Another time is proposed",
    },
    noSummary: "No title",
    at: "{starts}",
    fromUntil: "{starts} to {ends}",
    repeats: "repeats",
    where: "Where: {location}",
    organizer: "From {organizer}",
    invitationText: "Answer it in your calendar, or with a reply.",
    delivery: {
      failed: "Not delivered",
      delayed: "Delayed",
      delivered: "Delivered",
      relayed: "Passed on",
      expanded: "Passed on to several",
    },
    serverSaid: "The other server said: {said}",
    aboutMail: "Show the mail this is about",
    options: "More for this message",
    reply: "Reply",
    replyAll: "Reply to all",
    forward: "Forward",
    markRead: "Mark as read",
    markUnread: "Mark as unread",
    move: "Move…",
    toTrash: "Move to trash",
    trash: "trash",
    moved: "Moved to {place}.",
    seemsMoved: "Moved to {place}",
    moveTitle: "Move to a folder",
    moveNow: "Move",
    moveHint: "It is moved at the provider too.",
    folder: "Folder",
    cannotAnswer: "To answer, you need a mailbox of your own, or a shared one.",
  },
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

/** The text for a value of the API in a group of texts; a value that has none is shown as it is. */
export const wordOf = (group, value) => (hasText(`${group}.${value}`) ? t(`${group}.${value}`) : String(value).replaceAll("_", " "));

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

/** "99.9%"; never 100 of what is not all of it. */
export function formatShare(share) {
  return new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 1, roundingMode: "floor" }).format(share);
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
