// Judging one item after the other without waiting for a page. The forms are those of the page; outbox.js delivers them.
// While an item is read, the next one is fetched, still blind: a kept verdict shows it at once, whatever the connection does.
const part = () => document.getElementById("audit-part");
let shownAt = performance.now();
let ahead = null; // {reservation, html} of the item that comes next
let fetching = null;

function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.querySelector("#audit-part");
}

function put(next) {
  part().replaceWith(next);
  const address = next.dataset.address;
  if (address && address !== location.pathname) history.pushState(null, "", address);
  document.title = `${next.dataset.title} · Writ`;
  const crumb = document.querySelector("[data-item-link]");
  if (crumb) {
    crumb.textContent = next.dataset.title.split(",")[0];
    crumb.href = address;
  }
  shownAt = performance.now();
  if (ahead?.reservation === next.dataset.reservation) ahead = null; // it is here
  scrollTo(0, 0);
  next.querySelector("h1")?.focus({ preventScroll: true });
  document.getElementById("announce").textContent = next.dataset.title;
}

async function ask(address, body) {
  const token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
  const headers = { "X-CSRFToken": token, "X-Part": "1" };
  const response = await fetch(address, { method: "POST", headers, body, signal: AbortSignal.timeout(20_000) });
  if (!response.ok || response.redirected) throw new Error(`answered ${response.status}`);
  return response.text();
}

// One item ahead, and never the one that is being looked at.
async function prepare() {
  const { reservation, take } = part().dataset;
  if (!take || !part().querySelector("form[data-outbox-part]") || ahead || fetching === reservation) return;
  fetching = reservation;
  try {
    const html = await ask(take, new URLSearchParams({ beside: reservation }));
    const found = parsed(html)?.dataset;
    const isNew = found?.reservation !== part().dataset.reservation && "blind" in found;
    if (isNew) ahead = { reservation: found.reservation, html };
  } catch {
    // It will be fetched when it is needed.
  } finally {
    fetching = null;
  }
}

// What is told of the person's progress was made before the last verdict arrived.
function tellProgress(answer) {
  const told = answer.querySelector("[data-progress]");
  const place = part().querySelector("[data-progress]");
  if (told && place) place.textContent = told.textContent;
  const rest = answer.querySelector(".notice");
  if (rest && !part().querySelector(".notice")) part().querySelector(".page-head")?.after(rest);
}

// Before outbox.js reads the form: how long it took, and the next item if it is here.
document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    const seconds = form.querySelector("input[name=seconds]");
    if (seconds) seconds.value = Math.round((performance.now() - shownAt) / 1000);
    if (!form.matches("[data-advances]") || !ahead) return;
    const { html } = ahead;
    ahead = null;
    setTimeout(() => put(parsed(html))); // after the form was read and kept
  },
  true,
);

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-part-form]");
  if (!form) return;
  event.preventDefault();
  try {
    put(parsed(await ask(form.action, new URLSearchParams(new FormData(form)))));
    prepare();
  } catch {
    form.submit();
  }
});

document.addEventListener("cai:delivered", ({ detail }) => {
  const answer = parsed(detail.html);
  if (!answer) return;
  const here = part();
  const isOfThisItem = answer.dataset.reservation === here.dataset.reservation;
  const isSubmitted = here.querySelector("form[data-outbox-part] [name=idempotency_key]")?.value === detail.key.split(":").pop();
  if (isSubmitted) put(answer); // revealed, or the next item that was not here yet
  else if (isOfThisItem) tellProgress(answer);
  prepare(); // now, and not before: until the verdict is there, the item it is about would come back
});

document.addEventListener("cai:refused", ({ detail }) => {
  const answer = parsed(detail.html);
  if (answer && answer.dataset.reservation === part().dataset.reservation) {
    localStorage.removeItem(detail.key);
    put(answer);
  }
});

addEventListener("popstate", () => location.reload());
prepare();
