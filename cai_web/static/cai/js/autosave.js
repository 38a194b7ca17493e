// Autosave: <form data-autosave data-revision="7" data-autosave-key="principle-12">. What changed is kept in this browser at once,
// sent half a second after the last key, and forgotten only when the server has said "saved". Every save carries the words it began
// from, so the server can tell both sides' changes apart: a stale save (409) comes back with both people's words put together, or,
// where both changed the same words, with a panel that shows what each made of them. waiting.js sends what closed pages left behind,
// together.js brings other people's saved changes (cai:theirs). Without JavaScript the form is plain.
const WAIT = 500;
const MOST_TRIES = 20;
const SKIP = new Set(["csrfmiddlewaretoken", "revision", "changed", "base", "save", "earlier", ""]);
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
const picked = (values, names) => Object.fromEntries(names.map((name) => [name, values[name] ?? []]));
const randomName = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

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

// New words go in where they differ, so that the caret of somebody who is writing stays at its word.
function setText(control, text) {
  const old = control.value;
  if (old === text) return;
  if (!(control instanceof HTMLTextAreaElement) || document.activeElement !== control) {
    control.value = text;
    return;
  }
  const most = Math.min(old.length, text.length);
  let start = 0;
  while (start < most && old[start] === text[start]) start += 1;
  let end = 0;
  while (end < most - start && old[old.length - 1 - end] === text[text.length - 1 - end]) end += 1;
  control.setRangeText(text.slice(start, text.length - end), start, old.length - end, "preserve");
}

function setField(form, name, list) {
  let index = 0;
  for (const control of form.elements) {
    if (control.name !== name) continue;
    if (control.type === "checkbox" || control.type === "radio") control.checked = list.includes(control.value);
    else if (control instanceof HTMLSelectElement) for (const option of control.options) option.selected = list.includes(option.value);
    else setText(control, list[index++] ?? "");
  }
}

class Autosave {
  constructor(form) {
    this.form = form;
    this.action = new URL(form.getAttribute("action") || location.href, location.href).href; // form.action may be a field
    this.key = form.dataset.autosaveKey || this.action;
    this.saved = valuesOf(form, true); // what each field's words began from
    this.clashing = new Map(); // fields that wait for a decision, with what stands there
    this.refused = new Map(); // fields whose words do not fit, with those words: they hold back no other field
    this.tries = []; // saves whose answer never came: they may have arrived
    this.fails = 0;
    this.answeredAt = 0;
    form.addEventListener("input", () => this.later(WAIT));
    form.addEventListener("change", () => this.later(WAIT));
    form.addEventListener("focusout", () => this.timer && this.later(0));
    form.addEventListener("cai:theirs", (event) => this.take(event.detail));
    this.restore();
  }

  // Words typed before a lost connection, a crash or a reload come back into their fields and are sent again.
  restore() {
    const kept = box.read(this.key);
    if (!kept) return;
    for (const [name, list] of Object.entries(kept.fields)) {
      if (!(name in this.saved) || same(list, kept.base?.[name])) continue;
      setField(this.form, name, list);
      // They began from older words: if somebody saved in between, the server must be able to tell both changes apart.
      if (kept.base?.[name] && !same(list, this.saved[name])) this.saved[name] = kept.base[name];
    }
    this.tries = kept.tries ?? [];
    if (!this.changed().length) return void box.drop(this.key);
    this.say("Words from before that had not been saved are back in their fields.", "warning");
    this.later(0);
  }

  changed() {
    const now = valuesOf(this.form);
    return Object.keys(now).filter((name) => !same(now[name], this.saved[name]));
  }

  isRefused(name) {
    return this.refused.has(name) && same(valuesOf(this.form)[name], this.refused.get(name));
  }

  sendable() {
    return this.changed().filter((name) => !this.clashing.has(name) && !this.isRefused(name));
  }

  later(wait) {
    clearTimeout(this.timer);
    this.keep();
    this.timer = setTimeout(() => this.send(), wait);
  }

  keep() {
    const names = this.changed();
    // Another page of the same person may have sent these words too (waiting.js): its tries count as ours.
    this.tries = [...new Set([...(box.read(this.key)?.tries ?? []), ...this.tries])].slice(-MOST_TRIES);
    const entry = {
      fields: picked(valuesOf(this.form), names),
      base: picked(this.saved, names),
      revision: this.form.dataset.revision ?? "",
      tries: this.tries,
      failed: this.fails > 0,
      action: this.action,
      page: location.pathname,
      title: document.title,
      at: this.keptAt ?? Date.now(),
    };
    this.keptAt = names.length ? entry.at : undefined;
    if (!names.length) box.drop(this.key);
    else if (!box.write(this.key, entry)) this.unkept = true;
    if (names.length && !this.busy && !this.clashing.size && !this.fails) this.say("not saved yet");
    document.dispatchEvent(new CustomEvent("cai:kept"));
  }

  async send() {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.busy) return;
    const names = this.sendable();
    if (!names.length) return this.settle();
    const sent = valuesOf(this.form);
    const revision = this.form.dataset.revision ?? "";
    const body = new URLSearchParams({ revision, changed: names.join(",") });
    for (const name of names) for (const value of sent[name]) body.append(name, value);
    body.append("base", JSON.stringify(picked(this.saved, names)));
    body.append("save", randomName());
    body.append("earlier", this.tries.join(","));
    const token = this.form.elements.csrfmiddlewaretoken?.value ?? "";
    this.tries = [...this.tries, body.get("save")].slice(-MOST_TRIES);
    this.keep();
    this.busy = true;
    this.say("saving…");
    let response;
    try {
      response = await fetch(this.action, {
        method: "POST",
        headers: { "X-Autosave": "1", "X-CSRFToken": token, "If-Match": `"${revision}"`, Accept: "application/json" },
        body,
        redirect: "manual",
        signal: AbortSignal.timeout(20_000),
      });
    } catch {
      response = null;
    }
    await this.answered(response, names, sent);
  }

  async answered(response, names, sent) {
    const data = await response?.json().catch(() => ({}));
    this.busy = false;
    if (!response || response.status >= 500 || response.status === 429) return this.retry();
    this.fails = 0;
    this.answeredAt = performance.now();
    if (response.ok) return this.accept(data, names, sent);
    if (response.status === 409) return this.merge(data, sent);
    if (response.status === 422) return this.refuse(data.errors ?? {}, names, sent);
    if (response.type === "opaqueredirect" || response.status === 401) {
      return this.say("Not saved: you are signed out. Your words are kept in this browser; sign in and open this page again.", "error");
    }
    return this.say(data.message || "Not saved: you may not change this, or it is gone. Your words are kept in this browser.", "error");
  }

  accept(data, names, sent) {
    this.forgetTries();
    this.setRevision(data.revision);
    for (const name of names) {
      this.saved[name] = sent[name];
      this.refused.delete(name);
    }
    this.clearErrors();
    this.keptAt = undefined;
    this.keep();
    if (this.sendable().length) return this.later(WAIT);
    const at = data.saved_at ? new Date(data.saved_at) : new Date();
    const unfit = this.refused.size ? `; not saved: ${this.labels([...this.refused.keys()])}, see the mark` : "";
    const waits = this.clashing.size ? "; the words that both of you changed wait for your choice" : "";
    this.say(`saved ${at.toLocaleTimeString("en-GB")}${this.mergedWords ?? ""}${unfit}${waits}`, (unfit || waits) && "warning");
    this.mergedWords = undefined;
    this.form.dispatchEvent(new CustomEvent("cai:saved", { bubbles: true, detail: data }));
    return undefined;
  }

  forgetTries() {
    this.tries = [];
    box.drop(this.key); // `keep` writes anew what is still unsaved
  }

  setRevision(revision) {
    if (revision === undefined || revision === null) return;
    this.form.dataset.revision = revision;
    if (this.form.elements.revision) this.form.elements.revision.value = revision;
  }

  retry() {
    this.fails += 1;
    this.keep();
    const wait = Math.min(1000 * 2 ** (this.fails - 1), 30_000);
    const count = this.changed().length;
    const changes = count === 1 ? "1 change" : `${count} changes`;
    const kept = this.unkept ? "keep this page open" : `${count === 1 ? "it is" : "they are"} kept in this browser`;
    this.say(`No answer from the server: ${changes} waiting; ${kept} and sent when it is back.`, "warning");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), wait);
  }

  // Somebody else saved, and this page has heard of it before it sent anything. `asked` is when the page asked: an answer that was
  // on its way while a save of ours was answered may be older than our own words.
  take({ revision, by, fields, asked }) {
    if (this.busy || asked <= this.answeredAt) return;
    const names = this.bring(fields);
    this.setRevision(revision);
    if (names.length) this.tell(`${by} saved ${this.labels(names)}; the new words are shown here.`);
    if (names.length) this.form.dispatchEvent(new CustomEvent("cai:brought", { bubbles: true }));
  }

  // Their words, in every field that this person has not touched.
  bring(fields) {
    const now = valuesOf(this.form);
    const brought = [];
    for (const [name, value] of Object.entries(fields)) {
      const their = listed(value);
      if (!(name in this.saved) || same(their, this.saved[name]) || !same(now[name], this.saved[name])) continue;
      setField(this.form, name, their);
      this.saved[name] = their;
      brought.push(name);
    }
    return brought;
  }

  // 409: somebody else saved. Fields only they changed are taken over; where both changed other words of one field, both stand in
  // it now; where both changed the same words, what each made of them is shown and the person decides.
  merge(data, sent) {
    this.forgetTries();
    const now = valuesOf(this.form);
    const who = data.by || "Somebody else";
    this.bring(data.fields ?? {});
    const merged = Object.entries(data.merged ?? {}).filter(([name]) => same(now[name], sent[name]));
    for (const [name, value] of merged) {
      setField(this.form, name, listed(value));
      this.saved[name] = listed(data.fields[name]);
    }
    if (merged.length) this.mergedWords = `; ${who}’s words and yours both stand in ${this.labels(merged.map(([name]) => name))}`;
    this.setRevision(data.revision);
    for (const [name, clash] of Object.entries(data.clashes ?? this.plainClashes(data, sent))) this.clash(who, name, clash, data);
    if (this.clashing.size) this.say(`Not saved: ${who} changed the same words. Both are shown; nothing is lost.`, "error");
    if (merged.length) this.form.dispatchEvent(new CustomEvent("cai:brought", { bubbles: true }));
    this.later(0);
  }

  // A server that only says what stands there: both texts as they are.
  plainClashes(data, sent) {
    const clashes = {};
    for (const [name, value] of Object.entries(data.fields ?? {})) {
      if (!(name in this.saved) || same(sent[name], this.saved[name])) continue;
      const theirs = listed(value);
      if (same(theirs, this.saved[name])) continue;
      if (same(theirs, sent[name])) this.saved[name] = theirs;
      else clashes[name] = { choices: { mine: sent[name], theirs } };
    }
    return clashes;
  }

  clash(who, name, { html, choices }, data) {
    this.clashing.get(name)?.panel.remove();
    const panel = html ? this.panel(html) : this.plainPanel(who, choices);
    const control = [...this.form.elements].find((one) => one.name === name);
    const typed = valuesOf(this.form)[name];
    this.clashing.set(name, { panel });
    panel.addEventListener("click", (event) => {
      const choice = event.target.closest("[data-keep]")?.dataset.keep;
      if (!choice) return;
      this.clashing.delete(name);
      this.saved[name] = listed(data.fields[name]);
      const edited = !same(valuesOf(this.form)[name], typed); // words typed under the open panel win over "mine" as it was sent
      if (choice !== "mine" || !edited) setField(this.form, name, listed(choices[choice]));
      panel.remove();
      control.focus();
      this.form.dispatchEvent(new CustomEvent("cai:brought", { bubbles: true }));
      this.later(0);
      if (!this.changed().length) this.accept({}, [], {});
    });
    (control.closest(".field") ?? control).append(panel);
  }

  panel(html) {
    const template = document.createElement("template");
    template.innerHTML = html; // escaped by the server, where all text that people wrote becomes markup
    return template.content.firstElementChild;
  }

  plainPanel(who, choices) {
    const panel = document.getElementById("conflict-template").content.firstElementChild.cloneNode(true);
    panel.querySelector("[data-who]").textContent = who;
    panel.querySelector("[data-mine]").textContent = choices.mine.join(", ");
    panel.querySelector("[data-theirs]").textContent = choices.theirs.join(", ");
    return panel;
  }

  labels(names) {
    const label = (name) => {
      const control = [...this.form.elements].find((one) => one.name === name);
      const words = control?.closest("fieldset")?.matches(".field fieldset") ? control.closest("fieldset").querySelector("legend") : control?.labels?.[0];
      return (words?.textContent ?? name).trim().split(":")[0];
    };
    return names.map(label).join(", ");
  }

  // Nothing is left to send: what was refused may have been put back to what is saved, and is not wrong any more.
  settle() {
    if (!this.refused.size) return;
    const changed = this.changed();
    for (const name of [...this.refused.keys()]) if (!changed.includes(name)) this.refused.delete(name);
    this.clearErrors();
    if (!changed.length) this.say("Everything is saved.");
  }

  // The server takes a save whole or not at all. What it marked stays in the browser; the rest is sent again without it.
  refuse(errors, names, sent) {
    for (const name of names) if (name in errors) this.refused.set(name, sent[name]);
    this.clearErrors();
    for (const [name, sentences] of Object.entries(errors)) {
      const control = [...this.form.elements].find((one) => one.name === name);
      const error = document.createElement("p");
      error.className = "error";
      error.dataset.autosaveError = name;
      document.getElementById(`autosave-error-${name}`)?.remove();
      error.id = `autosave-error-${name}`;
      error.textContent = [].concat(sentences).join(" ");
      control?.setAttribute("aria-invalid", "true");
      control?.setAttribute("aria-errormessage", error.id);
      (control?.closest(".field") ?? this.form).append(error);
    }
    this.say("Not saved: see the field that is marked. Your words are kept in this browser.", "error");
    const rest = names.some((name) => !(name in errors)) && names.some((name) => name in errors);
    if (rest || !same(valuesOf(this.form), sent)) this.later(rest ? 0 : WAIT); // or typed on in the meantime
  }

  clearErrors() {
    for (const error of this.form.querySelectorAll("[data-autosave-error]")) if (!this.isRefused(error.dataset.autosaveError)) error.remove();
    for (const control of this.form.querySelectorAll("[aria-errormessage]")) {
      if (this.isRefused(control.name)) continue;
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

  tell(text) {
    const place = document.querySelector("[data-news]");
    if (place) place.textContent = text;
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
