// Autosave: <form data-autosave data-revision="7" data-autosave-key="principle-12">. What changed is kept in this browser at once,
// sent half a second after the last key, and forgotten only when the server has said "saved". A stale save (409) is merged field by
// field where only one side changed, and otherwise both texts are shown and the person decides. Without JavaScript the form is plain.
const WAIT = 500;
const SKIP = new Set(["csrfmiddlewaretoken", "revision", "changed", ""]);
const PREFIX = `writ-autosave:${document.body.dataset.person || ""}:`;
const forms = new Map();

const box = {
  read: (key) => {
    try {
      return JSON.parse(localStorage.getItem(PREFIX + key));
    } catch {
      return null;
    }
  },
  write: (key, entry) => {
    try {
      localStorage.setItem(PREFIX + key, JSON.stringify(entry));
      return true;
    } catch {
      return false; // full or refused: the words are still in the field, and the status says so
    }
  },
  drop: (key) => {
    try {
      localStorage.removeItem(PREFIX + key);
    } catch {
      /* nothing was kept */
    }
  },
};

const same = (a, b) => JSON.stringify(a ?? []) === JSON.stringify(b ?? []);
const lines = (text) => text.replaceAll("\r\n", "\n");
const listed = (value) => (Array.isArray(value) ? value : [value]).map((one) => lines(String(one ?? "")));

// What each named field holds: now, or as the server wrote it (the default*), as lists because a name may stand on many boxes.
function valuesOf(form, initial = false) {
  const values = {};
  for (const control of form.elements) {
    if (SKIP.has(control.name ?? "") || control.disabled || /^(submit|button|file|reset)$/.test(control.type)) continue;
    const list = (values[control.name] ??= []);
    if (control.type === "checkbox" || control.type === "radio") {
      if (initial ? control.defaultChecked : control.checked) list.push(control.value);
    } else if (control instanceof HTMLSelectElement) {
      const options = [...control.options];
      const marked = initial ? options.filter((option) => option.defaultSelected) : [...control.selectedOptions];
      const chosen = marked.length || control.multiple ? marked : options.slice(0, 1);
      list.push(...chosen.map((option) => option.value));
    } else {
      list.push(lines(initial ? control.defaultValue : control.value));
    }
  }
  return values;
}

function setField(form, name, list) {
  let index = 0;
  for (const control of form.elements) {
    if (control.name !== name) continue;
    if (control.type === "checkbox" || control.type === "radio") control.checked = list.includes(control.value);
    else if (control instanceof HTMLSelectElement) for (const option of control.options) option.selected = list.includes(option.value);
    else control.value = list[index++] ?? "";
  }
}

class Autosave {
  constructor(form) {
    this.form = form;
    this.action = new URL(form.getAttribute("action") || location.href, location.href).href; // form.action may be a field
    this.key = form.dataset.autosaveKey || this.action;
    this.saved = valuesOf(form, true);
    this.fails = 0;
    form.addEventListener("input", () => this.later(WAIT));
    form.addEventListener("change", () => this.later(WAIT));
    form.addEventListener("focusout", () => this.timer && this.later(0));
    this.restore();
  }

  // Words typed before a lost connection, a crash or a reload come back into their fields and are sent again.
  restore() {
    const kept = box.read(this.key);
    if (!kept) return;
    for (const [name, list] of Object.entries(kept.fields)) if (name in this.saved) setField(this.form, name, list);
    if (!this.changed().length) return void box.drop(this.key);
    // The old revision goes along: if somebody saved in between, the server must be able to say so.
    this.revision = kept.revision;
    this.base = kept.base;
    this.say("Words from before that had not been saved are back in their fields.", "warning");
    this.later(0);
  }

  changed() {
    const now = valuesOf(this.form);
    return Object.keys(now).filter((name) => !same(now[name], this.saved[name]));
  }

  later(wait) {
    clearTimeout(this.timer);
    this.keep();
    this.timer = setTimeout(() => this.send(), wait);
  }

  keep() {
    const now = valuesOf(this.form);
    const names = this.changed();
    const fields = Object.fromEntries(names.map((name) => [name, now[name]]));
    const base = Object.fromEntries(names.map((name) => [name, (this.base ?? this.saved)[name] ?? this.saved[name]]));
    const entry = { fields, base, revision: this.currentRevision(), page: location.pathname, at: Date.now() };
    if (!names.length) box.drop(this.key);
    else if (!box.write(this.key, entry)) this.unkept = true;
    if (names.length && !this.busy) this.say("not saved yet");
  }

  currentRevision() {
    return this.revision ?? this.form.dataset.revision ?? "";
  }

  async send() {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.busy || this.form.querySelector(".conflict")) return;
    const names = this.changed();
    if (!names.length) return;
    const sent = valuesOf(this.form);
    const body = new URLSearchParams({ revision: this.currentRevision(), changed: names.join(",") });
    for (const name of names) for (const value of sent[name]) body.append(name, value);
    const token = this.form.elements.csrfmiddlewaretoken?.value ?? "";
    this.busy = true;
    this.say("saving…");
    let response;
    try {
      response = await fetch(this.action, {
        method: "POST",
        headers: { "X-Autosave": "1", "X-CSRFToken": token, "If-Match": `"${this.currentRevision()}"`, Accept: "application/json" },
        body,
        redirect: "manual",
        signal: AbortSignal.timeout(20_000),
      });
    } catch {
      response = null;
    }
    this.busy = false;
    await this.answered(response, names, sent);
  }

  async answered(response, names, sent) {
    if (!response || response.status >= 500 || response.status === 429) return this.retry();
    this.fails = 0;
    const data = await response.json().catch(() => ({}));
    if (response.ok) return this.accept(data, names, sent);
    if (response.status === 409) return this.merge(data, sent);
    if (response.status === 422) return this.refuse(data.errors ?? {}, sent);
    if (response.type === "opaqueredirect" || response.status === 401) {
      return this.say("Not saved: you are signed out. Your words are kept in this browser; sign in and open this page again.", "error");
    }
    return this.say(data.message || "Not saved: you may not change this, or it is gone. Your words are kept in this browser.", "error");
  }

  accept(data, names, sent) {
    this.revision = undefined;
    this.base = undefined;
    this.setRevision(data.revision);
    for (const name of names) this.saved[name] = sent[name];
    this.clearErrors();
    this.keep();
    if (this.changed().length) return this.later(WAIT);
    const at = data.saved_at ? new Date(data.saved_at) : new Date();
    this.say(`saved ${at.toLocaleTimeString("en-GB")}`);
    this.form.dispatchEvent(new CustomEvent("cai:saved", { bubbles: true, detail: data }));
    return undefined;
  }

  setRevision(revision) {
    if (revision === undefined || revision === null) return;
    this.form.dataset.revision = revision;
    if (this.form.elements.revision) this.form.elements.revision.value = revision;
  }

  retry() {
    this.fails += 1;
    const wait = Math.min(1000 * 2 ** (this.fails - 1), 30_000);
    const kept = this.unkept ? "Keep this page open" : "Your words are kept in this browser";
    this.say(`Not saved yet: no answer from the server. ${kept}; trying again.`, "warning");
    this.timer = setTimeout(() => this.send(), wait);
  }

  // 409: somebody else saved. Fields only they changed are taken over; fields only we changed are sent again;
  // fields both changed are shown side by side.
  merge(data, sent) {
    const theirs = data.fields ?? {};
    const clashes = [];
    for (const [name, value] of Object.entries(theirs)) {
      if (!(name in this.saved)) continue;
      const base = this.base?.[name] ?? this.saved[name];
      const their = listed(value);
      const mine = valuesOf(this.form)[name];
      if (same(mine, this.saved[name]) || same(mine, their)) setField(this.form, name, their);
      else if (!same(their, base)) clashes.push([name, mine, their]);
      this.saved[name] = their;
    }
    this.revision = undefined;
    this.base = undefined;
    this.setRevision(data.revision);
    if (!clashes.length) return this.later(0);
    const who = data.by || "Somebody else";
    this.say(`Not saved: ${who} changed the same words. Both are shown; nothing is lost.`, "error");
    for (const clash of clashes) this.showClash(who, ...clash);
    return undefined;
  }

  showClash(who, name, mine, theirs) {
    const template = document.getElementById("conflict-template");
    const control = [...this.form.elements].find((one) => one.name === name);
    const panel = template.content.firstElementChild.cloneNode(true);
    panel.querySelector("[data-who]").textContent = who;
    panel.querySelector("[data-mine]").textContent = mine.join(", ");
    panel.querySelector("[data-theirs]").textContent = theirs.join(", ");
    const settle = (list) => {
      setField(this.form, name, list);
      panel.remove();
      control.focus();
      this.later(0);
      if (!this.changed().length && !this.form.querySelector(".conflict")) this.accept({}, [], {});
    };
    panel.querySelector("[data-keep-mine]").addEventListener("click", () => settle(valuesOf(this.form)[name]));
    panel.querySelector("[data-take-theirs]").addEventListener("click", () => settle(theirs));
    (control.closest(".field") ?? control).append(panel);
  }

  refuse(errors, sent) {
    this.clearErrors();
    for (const [name, sentences] of Object.entries(errors)) {
      const control = [...this.form.elements].find((one) => one.name === name);
      const error = document.createElement("p");
      error.className = "error";
      error.dataset.autosaveError = "";
      error.id = `autosave-error-${name}`;
      error.textContent = [].concat(sentences).join(" ");
      control?.setAttribute("aria-invalid", "true");
      control?.setAttribute("aria-errormessage", error.id);
      (control?.closest(".field") ?? this.form).append(error);
    }
    this.say("Not saved: see the field that is marked. Your words are kept in this browser.", "error");
    if (!same(valuesOf(this.form), sent)) this.later(WAIT); // typed on in the meantime
  }

  clearErrors() {
    for (const error of this.form.querySelectorAll("[data-autosave-error]")) error.remove();
    for (const control of this.form.querySelectorAll("[aria-errormessage]")) {
      control.removeAttribute("aria-invalid");
      control.removeAttribute("aria-errormessage");
    }
  }

  say(text, tone = "") {
    const status = this.form.querySelector("[data-autosave-status]");
    if (!status) return;
    status.textContent = text;
    status.dataset.tone = tone;
  }
}

function start(root) {
  const found = [...root.querySelectorAll("form[data-autosave]")];
  if (root.matches?.("form[data-autosave]")) found.push(root);
  for (const form of found) if (!forms.has(form)) forms.set(form, new Autosave(form));
}

start(document);
document.addEventListener("htmx:load", (event) => start(event.detail.elt));
document.addEventListener("htmx:beforeCleanupElement", (event) => forms.delete(event.detail.elt));
addEventListener("online", () => forms.forEach((one) => one.later(0)));
addEventListener("pagehide", () => forms.forEach((one) => one.changed().length && one.keep()));
