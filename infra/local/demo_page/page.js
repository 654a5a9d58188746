// What a front end does to connect a mailbox: see infra/oauth-clients.md. `settings` comes from the stack.
const here = location.origin + location.pathname;
const find = (id) => document.getElementById(id);

async function call(method, path, body, more) {
  const answer = await fetch(settings.api + path, {
    method,
    headers: {
      Authorization: `Bearer ${settings.token}`,
      "Content-Type": "application/json",
      ...more,
    },
    body: body && JSON.stringify(body),
  });
  const content = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(`${content.detail ?? content.message} ${content.fix ?? ""}`);
  return content;
}

function say(text, failed = false) {
  find("outcome").textContent = text;
  find("outcome").className = failed ? "failed" : "";
}

const attempt = (work) => work().catch((error) => say(error.message, true));

async function connect(wishes) {
  const begun = await call("POST", "/v1/mailboxes/authorize", { return_url: here, ...wishes });
  location.assign(begun.authorize_url);
}

async function returned() {
  const query = new URLSearchParams(location.search);
  const outcome = query.get("mailroom_outcome");
  if (!outcome) return;
  const confirmed = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, "", here);
  if (outcome === "connected") return say("Connected. Its mail is on its way.");
  if (outcome !== "confirm") {
    const link = query.get("mailroom_admin_consent_url");
    const approve = link ? ` An administrator approves at ${link}` : "";
    const quoted = query.get("mailroom_request_id");
    return say(`Not connected: ${outcome} (request ${quoted}).${approve}`, true);
  }
  await call("POST", "/v1/mailboxes/authorize/complete", Object.fromEntries(confirmed));
  say("Connected. Its mail is on its way.");
}

function row(mailbox) {
  const line = document.createElement("tr");
  const error = mailbox.latest_error.inbound;
  const trouble = error ? `${error.message} (${error.acts}) ${error.fix}` : "";
  for (const text of [mailbox.address, mailbox.provider, mailbox.status, trouble]) {
    line.insertCell().textContent = text;
  }
  const cell = line.insertCell();
  const button = (name, work) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = name;
    made.onclick = () => attempt(work);
    cell.append(made, " ");
  };
  if (mailbox.status === "active") {
    button("Sync now", () => call("POST", `/v1/mailboxes/${mailbox.id}/sync`));
  }
  if (mailbox.provider !== "imap" && mailbox.status !== "connecting") {
    const wishes = { provider: mailbox.provider, mailbox_id: mailbox.id };
    button("Reconnect", () => connect(wishes));
  }
  if (mailbox.status !== "disconnected") {
    button("Disconnect", () => call("DELETE", `/v1/mailboxes/${mailbox.id}`));
  }
  return line;
}

async function beginAnswer(message) {
  const answers = { message_id: message.id, kind: "reply" };
  const begun = await call("GET", `/v1/messages/${message.id}/answer?kind=reply`);
  find("heading").textContent = `To ${begun.to.map((one) => one.address).join(", ")}: ${begun.subject}`;
  // One for each mail, so that pressing twice, or again after a broken line, sends it once.
  const key = { "Idempotency-Key": crypto.randomUUID() };
  find("answer").hidden = false;
  find("answer").onreset = () => (find("answer").hidden = true);
  find("answer").onsubmit = (event) => {
    event.preventDefault();
    attempt(async () => {
      const mail = { answers, text: find("text").value };
      const send = await call("POST", "/v1/sends", mail, key);
      find("answer").reset();
      await follow(send);
    });
  };
}

async function follow(send) {
  while (["queued", "sending"].includes(send.status) && !send.cause) {
    say("Sending it.");
    await new Promise((resolve) => setTimeout(resolve, 500));
    send = await call("GET", `/v1/mailboxes/${send.mailbox_id}/sends/${send.id}`);
  }
  const causes = [send.cause, ...send.recipients.map((one) => one.cause)].filter(Boolean);
  const trouble = causes.map((one) => ` ${one.message} ${one.fix}`).join("");
  say(`Your answer is ${send.status}.${trouble}`, causes.length > 0);
  await show();
}

async function show() {
  const mailboxes = (await call("GET", "/v1/mailboxes")).items;
  const addresses = new Map(mailboxes.map((one) => [one.id, one.address]));
  find("mailboxes").replaceChildren(...mailboxes.map(row));
  const contacts = (await call("GET", "/v1/contacts")).items;
  const chosen = find("contacts").value || contacts[0]?.id;
  find("contacts").replaceChildren(
    ...contacts.map((one) => new Option(one.name, one.id, false, one.id === chosen)),
  );
  if (!chosen) return;
  const mail = (await call("GET", `/v1/contacts/${chosen}/messages?limit=50`)).items;
  find("timeline").replaceChildren(
    ...mail.map((message) => {
      const line = document.createElement("li");
      const at = document.createElement("time");
      at.textContent = message.sent_at.slice(0, 10);
      const way = message.direction === "outbound" ? "to " : "from ";
      const holders = new Set(message.mailboxes.map((one) => addresses.get(one.mailbox_id)));
      const where = document.createElement("small");
      where.textContent = ` in ${[...holders].join(", ")}`;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Reply";
      button.onclick = () => attempt(() => beginAnswer(message));
      line.append(at, way, message.subject || "(no subject)", where, " ", button);
      return line;
    }),
  );
}

for (const button of document.querySelectorAll("[data-provider]")) {
  button.onclick = () =>
    attempt(() =>
      connect({ provider: button.dataset.provider, backfill_days: Number(find("days").value) }),
    );
}
find("contacts").onchange = () => attempt(show);
attempt(async () => {
  await returned();
  await show();
});
setInterval(() => show().catch(() => {}), 4000);
