// Several people on one draft: <div data-together="/…/draft/here/" data-place="privacy">. Every few seconds the page says where it
// is and hears who else is here and what they saved: [data-here] names them, the outline marks the principle each is at, and new
// words reach the form (cai:theirs), which shows them unless the person is writing there. A hidden page keeps quiet.
const EVERY = 2_000;
const root = document.querySelector("[data-together]");
let revision = root?.dataset.revision;
let people = [];

const form = () => document.querySelector("form[data-autosave]");
const token = () => JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
const listed = (names) => (names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : (names[0] ?? ""));

function mark() {
  for (const old of document.querySelectorAll(".outline .here")) old.remove();
  for (const { name, place } of people) {
    const item = document.querySelector(`.outline [data-key-of="${CSS.escape(place)}"] a`);
    const badge = Object.assign(document.createElement("span"), { className: "here", textContent: name });
    item?.append(badge);
  }
}

function tell() {
  const place = document.querySelector("[data-here]");
  const words = people.map(({ name, title, place: at }) => (at === root.dataset.place ? `${name} is here too, on this page` : `${name} is at ${title}`));
  const text = words.length ? `${listed(words)}.` : "";
  if (place && place.textContent !== text) place.textContent = text;
}

async function beat() {
  const asked = performance.now();
  const body = new URLSearchParams({ place: root.dataset.place, revision: form()?.dataset.revision ?? "" });
  const headers = { "X-CSRFToken": token(), Accept: "application/json" };
  const response = await fetch(root.dataset.together, { method: "POST", headers, body, redirect: "manual", signal: AbortSignal.timeout(10_000) });
  if (!response.ok) return;
  const news = await response.json();
  people = news.people;
  mark();
  tell();
  if (String(news.revision) !== revision) {
    revision = String(news.revision);
    document.body.dispatchEvent(new CustomEvent("cai:outline"));
  }
  if (news.theirs) form()?.dispatchEvent(new CustomEvent("cai:theirs", { detail: { ...news.theirs, asked } }));
}

async function loop() {
  try {
    if (!document.hidden) await beat();
  } catch {
    /* no connection: autosave says so, and the next beat tries again */
  }
  setTimeout(loop, EVERY);
}

function leave() {
  const body = new URLSearchParams({ place: "", left: root.dataset.place, csrfmiddlewaretoken: token() });
  navigator.sendBeacon(root.dataset.together, body);
}

if (root) {
  loop();
  addEventListener("pagehide", leave);
  document.addEventListener("htmx:load", mark);
}
