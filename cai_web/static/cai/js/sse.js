// Live pages. <div data-sse="/runs/12/events" data-sse-after="41"> listens to server-sent events and passes each on:
//   - as the DOM event "cai:event" on that element (detail: the parsed data, with .kind);
//   - as the event "sse-refresh" on every [data-sse-refresh="stage metric"] that names the kind, for htmx to fetch a fragment.
// The browser reconnects by itself and sends the last id. While there is no stream, the same elements are refreshed every five seconds.
const KINDS = ["state", "stage", "started", "progress", "metric", "record", "log", "checkpoint", "finished", "failed", "stopped", "end"];
const POLL = 5_000;
const RETRY = 30_000;
const PATIENCE = 8_000;
const live = new Map();

class Live {
  constructor(root) {
    this.root = root;
    this.last = root.dataset.sseAfter || "";
    this.pending = new Map();
    this.connect();
  }

  connect() {
    const url = new URL(this.root.dataset.sse, location.href);
    if (this.last) url.searchParams.set("after", this.last);
    this.source = new EventSource(url);
    const heard = (event) => this.hear(event);
    const kinds = new Set(KINDS);
    for (const element of this.targets()) for (const kind of element.dataset.sseRefresh.split(/\s+/)) kinds.add(kind);
    this.source.onmessage = heard;
    for (const kind of kinds) if (kind && kind !== "*") this.source.addEventListener(kind, heard);
    this.source.onopen = () => this.stopPolling();
    this.source.onerror = () => this.worry();
    this.patience = setTimeout(() => this.source.readyState === EventSource.OPEN || this.poll(), PATIENCE);
  }

  hear(event) {
    if (event.lastEventId) this.last = event.lastEventId;
    let data = {};
    try {
      data = JSON.parse(event.data);
    } catch {
      /* a stream may send a bare name */
    }
    const kind = data.kind || event.type;
    this.root.dispatchEvent(new CustomEvent("cai:event", { detail: { ...data, kind }, bubbles: true }));
    if (kind === "end") this.finish();
    else this.refresh(kind);
  }

  targets() {
    return this.root.querySelectorAll("[data-sse-refresh]");
  }

  // Each element at most once per second (or its own data-sse-every): a burst of events is one request.
  refresh(kind) {
    for (const element of this.targets()) {
      const kinds = element.dataset.sseRefresh.split(/\s+/);
      if (kind !== "*" && !kinds.includes("*") && !kinds.includes(kind)) continue;
      const name = element.id || element.dataset.sseRefresh;
      if (this.pending.has(name)) continue;
      const wait = Number(element.dataset.sseEvery) || 1_000;
      this.pending.set(name, setTimeout(() => this.fire(name), wait));
    }
  }

  fire(name) {
    this.pending.delete(name);
    for (const element of this.targets()) {
      if ((element.id || element.dataset.sseRefresh) === name) element.dispatchEvent(new CustomEvent("sse-refresh"));
    }
  }

  refreshAll() {
    for (const element of this.targets()) element.dispatchEvent(new CustomEvent("sse-refresh"));
  }

  worry() {
    if (this.source.readyState !== EventSource.CLOSED) return; // the browser is reconnecting by itself
    this.poll();
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.connect(), RETRY);
  }

  poll() {
    if (this.polling) return;
    this.polling = setInterval(() => {
      if (this.root.querySelector("[data-sse-end]")) this.close();
      else if (!document.hidden) this.refreshAll();
    }, POLL);
  }

  stopPolling() {
    clearInterval(this.polling);
    this.polling = undefined;
  }

  finish() {
    this.close();
    this.refreshAll();
  }

  close() {
    this.source.close();
    this.stopPolling();
    clearTimeout(this.patience);
    clearTimeout(this.retry);
    for (const timer of this.pending.values()) clearTimeout(timer);
    this.pending.clear();
  }
}

function start(root) {
  const elements = [...root.querySelectorAll("[data-sse]")];
  if (root.matches?.("[data-sse]")) elements.push(root);
  for (const element of elements) if (!live.has(element)) live.set(element, new Live(element));
}

// Not before htmx listens: a stream that ends at once must still find somebody to tell.
addEventListener("load", () => start(document));
document.addEventListener("htmx:load", (event) => start(event.detail.elt));
document.addEventListener("htmx:beforeCleanupElement", (event) => {
  live.get(event.detail.elt)?.close();
  live.delete(event.detail.elt);
});
addEventListener("pagehide", () => live.forEach((one) => one.close()));
addEventListener("pageshow", (event) => event.persisted && live.forEach((one) => one.connect()));
