// What autosave.js kept for forms that are not on this page (the tab was closed, the connection was down) is sent from whichever page
// is open, oldest first, and forgotten when the server has it. What needs a decision keeps its place and is named with a link.
// [data-waiting] says what waits: "2 changes waiting; they are kept in this browser".
const PERSON = document.body.dataset.person || "";
const PREFIX = `writ-autosave:${PERSON}:`;
const LONGEST = 30_000;
let sending = false;
let wait = 1_000;

const here = () => new Set([...document.querySelectorAll("form[data-autosave]")].map((form) => PREFIX + form.dataset.autosaveKey));

function entries() {
  const found = [];
  try {
    for (let index = 0; index < localStorage.length; index += 1) {
      const key = localStorage.key(index);
      if (key.startsWith(PREFIX)) found.push([key, JSON.parse(localStorage.getItem(key))]);
    }
  } catch {
    return []; // no storage, nothing waits in it
  }
  return found.filter(([, entry]) => entry?.fields && entry.action).sort((a, b) => a[1].at - b[1].at);
}

function token() {
  try {
    return JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
  } catch {
    return "";
  }
}

function bodyOf(entry, save) {
  const names = Object.keys(entry.fields);
  const body = new URLSearchParams({ revision: entry.revision, changed: names.join(",") });
  for (const name of names) for (const value of entry.fields[name]) body.append(name, value);
  body.append("base", JSON.stringify(entry.base));
  body.append("save", save);
  body.append("earlier", (entry.tries ?? []).join(","));
  return body;
}

async function post(key, entry) {
  const save = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const body = bodyOf(entry, save);
  const tries = [...(entry.tries ?? []), save];
  localStorage.setItem(key, JSON.stringify({ ...entry, tries, failed: true })); // the answer may be lost on the way
  const response = await fetch(entry.action, {
    method: "POST",
    headers: { "X-Autosave": "1", "X-CSRFToken": token(), Accept: "application/json" },
    body,
    redirect: "manual",
    signal: AbortSignal.timeout(20_000),
  });
  if (response.status >= 500 || response.status === 429) throw new Error("try again");
  if (response.ok) localStorage.removeItem(key);
  else localStorage.setItem(key, JSON.stringify({ ...entry, failed: true, held: response.status || 401 }));
}

async function deliver() {
  if (sending || !PERSON) return;
  sending = true;
  try {
    const open = here();
    for (const [key, entry] of entries()) if (!open.has(key) && !entry.held) await post(key, entry);
    wait = 1_000;
  } catch {
    setTimeout(deliver, wait);
    wait = Math.min(wait * 2, LONGEST);
  } finally {
    sending = false;
    show();
  }
}

const WHY = { 401: "you are signed out", 403: "you may not change this", 404: "it is no longer in the draft", 409: "somebody changed the same words", 422: "a field does not fit" };

function show() {
  const place = document.querySelector("[data-waiting]");
  if (!place) return;
  const open = here();
  const all = entries();
  const count = all.filter(([, one]) => one.failed && !one.held).reduce((sum, [, one]) => sum + Object.keys(one.fields).length, 0);
  const parts = [];
  if (count) parts.push(count === 1 ? "1 change waiting; it is kept in this browser. " : `${count} changes waiting; they are kept in this browser. `);
  for (const [key, entry] of all) {
    if (!entry.held || open.has(key)) continue;
    const link = Object.assign(document.createElement("a"), { href: entry.page, textContent: `Look at ${entry.title.split(",")[0]}` });
    parts.push(`Not saved, because ${WHY[entry.held] ?? "the server refused it"}; the words are kept in this browser. `, link, " ");
  }
  const words = parts.map((part) => part.textContent ?? part).join("");
  if (place.textContent !== words) place.replaceChildren(...parts);
}

document.addEventListener("cai:kept", show);
addEventListener("online", deliver);
deliver();
