// Small helps: relative times that stay true, copy buttons, a log that follows its end.
const UNITS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function relative(moment) {
  const seconds = (moment - Date.now()) / 1000;
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return words.format(Math.round(seconds / size), unit);
  }
  return Math.abs(seconds) < 10 ? "just now" : words.format(Math.round(seconds), "second");
}

function tell(root) {
  for (const time of root.querySelectorAll("time[data-relative]")) {
    const moment = Date.parse(time.dateTime);
    if (!Number.isNaN(moment)) time.textContent = relative(moment);
  }
}

tell(document);
setInterval(() => document.hidden || tell(document), 30_000);
document.addEventListener("htmx:load", (event) => tell(event.detail.elt));

// ---- Copy ----
function say(text) {
  const region = document.getElementById("announce");
  if (region) region.textContent = text;
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea"); // plain http on another host has no clipboard object
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("copying was refused");
  return undefined;
}

function showCopyButtons(root) {
  for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}

showCopyButtons(document);
document.addEventListener("htmx:load", (event) => showCopyButtons(event.detail.elt.parentNode ?? document));
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const before = button.textContent;
  try {
    await copy(button.dataset.copy);
    button.textContent = "Copied";
    say("Copied");
  } catch {
    button.textContent = "Not copied";
    say("Not copied: select the text and copy it by hand");
  }
  setTimeout(() => (button.textContent = before), 1500);
});

// ---- A log that stays at its end unless the reader has scrolled up ----
const atEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 24;
const readers = new Set(); // ids of logs that the reader has scrolled up

function follow() {
  for (const log of document.querySelectorAll("[data-follow]")) {
    if (!readers.has(log.id)) log.scrollTop = log.scrollHeight;
  }
}

follow();
document.addEventListener("scroll", (event) => {
  const log = event.target;
  if (!(log instanceof Element) || !log.matches("[data-follow]")) return;
  if (atEnd(log)) readers.delete(log.id);
  else readers.add(log.id);
}, true);
document.addEventListener("htmx:afterSettle", follow);
