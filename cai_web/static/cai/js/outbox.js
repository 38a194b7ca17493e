// Decisions that survive a lost connection: <form method="post" data-outbox data-outbox-next="/audit/next"> with a hidden
// idempotency_key. The decision is kept in this browser first, then posted, and posted again until the server has it; the key
// makes a second delivery harmless. [data-outbox-status] says what is waiting. Without JavaScript the form posts as it is.
// What the server answers is told to whoever listens ("cai:delivered", "cai:refused" with {key, html}); a form with
// data-outbox-part leaves it to them what is shown next (queue.js).
const SIGNED_OUT = "signed out";
const PREFIX = `writ-outbox:${document.body.dataset.person || ""}:`;
let sending = null;
let wait = 1_000;
let isSaidToWait = false;
let tokenNow = ""; // after somebody has signed in again the page's own is out of date

function waiting() {
  const entries = [];
  try {
    for (let index = 0; index < localStorage.length; index += 1) {
      const key = localStorage.key(index);
      if (key.startsWith(PREFIX)) entries.push([key, JSON.parse(localStorage.getItem(key))]);
    }
  } catch {
    return [];
  }
  return entries.filter(([, entry]) => entry && !entry.refused).sort((a, b) => a[1].at - b[1].at);
}

function say(text, tone = "") {
  for (const status of document.querySelectorAll("[data-outbox-status]")) {
    status.textContent = text;
    status.dataset.tone = tone;
  }
}

function token() {
  if (tokenNow) return tokenNow;
  try {
    return JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
  } catch {
    return "";
  }
}

async function post(entry) {
  const body = new URLSearchParams(entry.body);
  body.delete("csrfmiddlewaretoken"); // of when it was decided; the header's is the one that holds now
  const headers = { "X-CSRFToken": token(), "X-Outbox": "1" };
  const response = await fetch(entry.action, { method: "POST", headers, body, redirect: "manual", signal: AbortSignal.timeout(20_000) });
  if (response.status >= 500 || response.status === 429) throw new Error("try again");
  if (response.status === 401) throw new Error(SIGNED_OUT);
  return response;
}

// The token of this page as it would be sent now; whether there is one.
async function renewToken() {
  const page = await fetch(location.href, { redirect: "manual", signal: AbortSignal.timeout(20_000) });
  if (page.type === "opaqueredirect") throw new Error(SIGNED_OUT);
  if (!page.ok) return false;
  const body = new DOMParser().parseFromString(await page.text(), "text/html").body;
  tokenNow = JSON.parse(body.getAttribute("hx-headers") ?? "{}")["X-CSRFToken"] ?? "";
  return tokenNow !== "";
}

// One at a time, oldest first, until nothing waits: what is decided meanwhile goes along. Answers: ok or redirect = delivered;
// 4xx = refused, kept and said; 401, signed out, or no answer: later.
function deliver() {
  sending ??= deliverAll().finally(() => {
    sending = null;
  });
  return sending;
}

async function deliverAll() {
  let sent = 0;
  try {
    for (let [first] = waiting(); first; [first] = waiting()) {
      await deliverOne(...first);
      sent += 1;
    }
    if (isSaidToWait && !sent) say("saved from another tab");
    isSaidToWait = false;
    wait = 1_000;
  } catch (error) {
    isSaidToWait = true;
    const count = `Not saved yet: ${waiting().length} waiting in this browser`;
    const isSignedOut = error.message === SIGNED_OUT;
    say(isSignedOut ? `${count}. Sign in again in another tab, then it is sent.` : `${count}, trying again.`, "warning");
    setTimeout(deliver, wait);
    wait = Math.min(wait * 2, 30_000);
  }
}

async function deliverOne(key, entry) {
  let response = await post(entry);
  if (response.status === 403 && (await renewToken())) response = await post(entry);
  const isDelivered = response.ok || response.type === "opaqueredirect";
  const html = response.type === "opaqueredirect" ? "" : await response.text();
  if (isDelivered) {
    localStorage.removeItem(key);
    say(`saved ${new Date().toLocaleTimeString("en-GB")}`);
  } else {
    localStorage.setItem(key, JSON.stringify({ ...entry, refused: response.status }));
    say("One decision was refused by the server. It is kept in this browser.", "error");
  }
  document.dispatchEvent(new CustomEvent(isDelivered ? "cai:delivered" : "cai:refused", { detail: { key, html } }));
}

// What the server refused belongs on the page: it is posted once more as a plain form, and the answer says what to change.
function postPlainly(form, submitter) {
  if (submitter?.name) {
    const field = Object.assign(document.createElement("input"), { type: "hidden", name: submitter.name, value: submitter.value });
    form.append(field);
  }
  form.submit();
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-outbox]");
  if (!form || event.defaultPrevented) return;
  const body = new URLSearchParams(new FormData(form, event.submitter));
  const key = PREFIX + (body.get("idempotency_key") || Date.now());
  const entry = { action: form.action, body: body.toString(), at: Date.now() };
  try {
    localStorage.setItem(key, JSON.stringify(entry));
  } catch {
    return; // nothing can be kept here: let the browser post the form itself
  }
  event.preventDefault();
  await deliver();
  const left = localStorage.getItem(key);
  const isElsewhere = form.hasAttribute("data-outbox-part");
  if (isElsewhere && !left) return;
  if (left && JSON.parse(left).refused) {
    if (isElsewhere) return;
    localStorage.removeItem(key);
    postPlainly(form, event.submitter);
    return;
  }
  form.dispatchEvent(new CustomEvent("cai:decided", { bubbles: true }));
  // While it waits for the connection the page stays: what is next could not be fetched either.
  if (!left && form.dataset.outboxNext) go(form.dataset.outboxNext);
});

// Going to another part of this very page would not load it anew, and its verdicts would not show.
function go(address) {
  const next = new URL(address, location.href);
  const isHere = next.pathname === location.pathname && next.search === location.search;
  if (isHere) {
    history.replaceState(history.state, "", next);
    location.reload();
  } else location.assign(next);
}

addEventListener("online", deliver);
deliver();
