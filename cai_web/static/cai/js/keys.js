// Keyboard: an element says which key presses it (data-key="j" data-key-label="Next item").
// Keys are ignored while typing, while an input method composes, with modifiers, on auto-repeat and under an open dialog;
// "?" lists those of the page; one box in that list switches them all off (WCAG 2.1.4).
const OFF = "writ-keys-off";
const TEXT_ROLES = new Set(["textbox", "combobox", "listbox", "searchbox", "spinbutton", "slider"]);
const NO_TEXT = new Set(["button", "submit", "reset", "checkbox", "radio", "image", "file", "color"]);

function isOff() {
  if (document.querySelector("[data-keys-off]")) return true; // the person's own setting, wherever they sign in
  try {
    return localStorage.getItem(OFF) === "1";
  } catch {
    return false;
  }
}

function switchOff(off) {
  document.documentElement.classList.toggle("keys-off", off);
  try {
    localStorage.setItem(OFF, off ? "1" : "0");
  } catch {
    /* it holds for this page */
  }
}

function isTyping(target) {
  if (!(target instanceof Element)) return false;
  if (target.isContentEditable || target.closest("textarea, select")) return true;
  if (TEXT_ROLES.has(target.getAttribute("role"))) return true;
  return target instanceof HTMLInputElement && !NO_TEXT.has(target.type);
}

function isPressable(target) {
  return target instanceof Element && target.closest("a[href], button, summary, label, input") !== null;
}

function elementFor(key) {
  const all = document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`);
  return [...all].find((element) => element.checkVisibility() && !element.disabled);
}

function press(element) {
  if (element.matches("input:not([type=checkbox], [type=radio]), textarea, select")) {
    element.focus();
    if (element.select && element.type !== "number") element.select();
  } else {
    element.click();
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && isTyping(event.target) && !event.isComposing) {
    event.target.blur(); // Esc leaves a field, so that keys work again
    return;
  }
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229 || event.repeat) return;
  if (event.ctrlKey || event.metaKey || event.altKey || isOff()) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if ((event.key === "Enter" || event.key === " ") && isPressable(event.target)) return;
  const element = elementFor(event.key);
  if (!element) return;
  event.preventDefault();
  press(element);
});

// ---- The list of keys ----
const dialog = document.getElementById("keys");

function fillList() {
  const list = dialog.querySelector("[data-keys-list]");
  list.replaceChildren();
  for (const element of document.querySelectorAll("[data-key]")) {
    if (!element.checkVisibility() || dialog.contains(element)) continue;
    const term = document.createElement("dt");
    const key = document.createElement("kbd");
    key.textContent = element.dataset.key === " " ? "Space" : element.dataset.key;
    term.append(key);
    const meaning = document.createElement("dd");
    meaning.textContent = element.dataset.keyLabel || element.textContent.trim();
    list.append(term, meaning);
  }
}

if (dialog) {
  const box = dialog.querySelector("[data-keys-switch]");
  box.checked = !isOff();
  box.addEventListener("change", () => switchOff(!box.checked));
  for (const opener of document.querySelectorAll("[data-keys-open]")) {
    opener.hidden = false;
    opener.addEventListener("click", () => {
      fillList();
      dialog.showModal();
    });
  }
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // the backdrop
  });
}
document.documentElement.classList.toggle("keys-off", isOff());

// ---- Steps: next and previous change, step or item on one long page ----
function stepTo(group, direction) {
  const all = [...document.querySelectorAll(`[data-step="${CSS.escape(group)}"]`)].filter((e) => e.checkVisibility());
  if (!all.length) return;
  const now = all.findIndex((element) => element.classList.contains("now"));
  const below = all.findIndex((element) => element.getBoundingClientRect().bottom > 0);
  const wanted = now === -1 ? (direction > 0 ? below : below - 1) : now + direction;
  const index = Math.min(Math.max(wanted, 0), all.length - 1);
  all[now]?.classList.remove("now");
  const target = all[index];
  target.classList.add("now");
  target.tabIndex = -1;
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "start" });
  if (target.id) history.replaceState(history.state, "", `#${target.id}`);
  for (const counter of document.querySelectorAll(`[data-step-count="${CSS.escape(group)}"]`)) {
    counter.textContent = `${index + 1} of ${all.length}`;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-step-next], [data-step-prev]");
  if (!button) return;
  event.preventDefault();
  if (button.dataset.stepNext) stepTo(button.dataset.stepNext, 1);
  else stepTo(button.dataset.stepPrev, -1);
});

// ---- Menus close on Escape and on a click elsewhere ----
function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(except)) menu.open = false;
  }
}

document.addEventListener("click", (event) => closeMenus(event.target));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.menu[open]");
  if (!open) return;
  if (open.contains(document.activeElement)) open.querySelector("summary").focus();
  closeMenus(null);
});
