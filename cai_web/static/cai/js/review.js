// Threads on words: [data-thread-open] fills the thread form from what is selected, in a diff (data-words-of="key:field") or in a
// field of the editor. Offsets are counted in UTF-16 units of the text as it is now; the server converts them (core/offsets.py).
let field = null; // the text field whose selection counts: pressing a button takes the focus, not the selection

document.addEventListener("focusin", (event) => {
  if (event.target.matches?.("textarea, input[type=text]") && !event.target.closest("[data-thread-form]")) field = event.target;
});

// The text of a fragment of a diff: removed words are no part of it, a mark shown by its name counts as the sign it stands for.
function textOf(fragment) {
  for (const gone of fragment.querySelectorAll("del")) gone.remove();
  for (const flag of fragment.querySelectorAll(".flag")) {
    flag.replaceWith(String.fromCodePoint(parseInt(flag.textContent.slice(2), 16)));
  }
  return fragment.textContent;
}

function before(element, node, offset) {
  const range = document.createRange();
  range.setStart(element, 0);
  range.setEnd(node, offset);
  return textOf(range.cloneContents()).length;
}

function selectedInDiff() {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const node = range.startContainer;
  const element = (node instanceof Element ? node : node.parentElement)?.closest("[data-words-of]");
  if (!element) return null;
  const inside = element.contains(range.endContainer);
  const start = before(element, node, range.startOffset);
  const whole = textOf(element.cloneNode(true));
  const end = inside ? before(element, range.endContainer, range.endOffset) : whole.length;
  return { place: element.dataset.wordsOf, quote: whole.slice(start, end), start };
}

function selectedInField(form) {
  if (!field?.isConnected || field.selectionStart === field.selectionEnd) return null;
  const name = field.name.replace(/^(\d+)-/, (_, index) => `exemplar-${Number(index) + 1}-`); // fields of exemplars count from 0
  const place = [...form.elements.place.options].find((option) => option.value.endsWith(`:${name}`))?.value;
  return place ? { place, quote: field.value.slice(field.selectionStart, field.selectionEnd), start: field.selectionStart } : null;
}

// Without a selection: the change that n and p have reached.
function currentChange() {
  const element = document.querySelector(".change.now [data-words-of]");
  return element ? { place: element.dataset.wordsOf, quote: "", start: "" } : null;
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest?.("[data-thread-open]");
  if (!opener) return;
  const form = opener.parentElement.querySelector("[data-thread-form]") ?? document.querySelector("[data-thread-form]");
  const chosen = selectedInDiff() ?? selectedInField(form) ?? currentChange();
  if (chosen) {
    for (const [name, value] of Object.entries(chosen)) form.elements[name].value = value;
  }
  if (opener.matches("summary")) return; // it opens by itself
  event.preventDefault();
  const next = form.elements[chosen?.quote ? "body" : chosen ? "quote" : "place"];
  next.focus();
  form.scrollIntoView({ block: "center" });
});
