// The order of principles, changed in the outline: drag a line by its handle with mouse, pen or finger, or put the focus on the
// handle, lift with Space or Enter, move with the arrow keys, and put it down with Space or Enter; Escape puts it back. What happens
// is announced. Without JavaScript, and beside it, the principle's own page has "move up", "move down" and "place".
const list = () => document.getElementById("outline-list");
const lines = () => [...document.querySelectorAll("#outline-list > [data-move]")];
const titleOf = (line) => line.querySelector(".outline-title").textContent.trim();
const placeOf = (line) => lines().indexOf(line) + 1;
let lifted = null; // {line, before, from, pointer}

function announce(text) {
  const region = document.getElementById("announce");
  if (region) region.textContent = text;
}

function lift(line, pointer) {
  lifted = { line, pointer, from: placeOf(line), before: line.nextElementSibling };
  line.classList.add("lifted");
  line.querySelector(".grip").setAttribute("aria-pressed", "true");
  announce(`${titleOf(line)} lifted, place ${lifted.from} of ${lines().length}. Arrow keys move it, Space puts it down, Escape puts it back.`);
}

function settle() {
  const { line } = lifted;
  line.classList.remove("lifted");
  line.querySelector(".grip").removeAttribute("aria-pressed");
  lifted = null;
  return line;
}

function putBack() {
  const { line, before, from, pointer } = lifted;
  line.parentNode.insertBefore(line, before);
  settle();
  if (pointer === undefined) line.querySelector(".grip").focus();
  announce(`${titleOf(line)} is back at place ${from}.`);
}

function step(direction) {
  const all = lines();
  const goal = all[all.indexOf(lifted.line) + direction];
  if (!goal) return;
  if (direction < 0) goal.before(lifted.line);
  else goal.after(lifted.line);
  lifted.line.querySelector(".grip").focus(); // moving an element in the page takes the focus away
  lifted.line.scrollIntoView({ block: "nearest" });
  announce(`${titleOf(lifted.line)}, place ${placeOf(lifted.line)} of ${all.length}.`);
}

// The server has the order; its outline replaces the one here, and the handle that was held has the focus again.
async function putDown() {
  const { from } = lifted;
  const line = settle();
  const place = placeOf(line);
  const title = titleOf(line);
  if (place === from) return announce(`${title} stays at place ${from}.`);
  const hadFocus = line.contains(document.activeElement);
  const key = line.dataset.keyOf;
  try {
    await htmx.ajax("POST", line.dataset.move, { target: "#outline", swap: "outerHTML", values: { place, at: list().dataset.at } });
  } catch {
    return announce(`${title} was not moved: no answer from the server.`);
  }
  const now = document.querySelector(`#outline-list > [data-key-of="${CSS.escape(key)}"]`);
  if (hadFocus) now?.querySelector(".grip").focus();
  return announce(now && placeOf(now) === place ? `${title} moved from place ${from} to ${place}.` : `${title} was not moved.`);
}

document.addEventListener("keydown", (event) => {
  const grip = event.target.closest?.(".grip");
  if (!grip) return;
  const isHeld = lifted?.line === grip.parentElement;
  const act = {
    " ": () => (isHeld ? putDown() : lift(grip.parentElement)),
    Enter: () => (isHeld ? putDown() : lift(grip.parentElement)),
    Escape: () => isHeld && putBack(),
    ArrowUp: () => isHeld && step(-1),
    ArrowDown: () => isHeld && step(1),
  }[event.key];
  if (!act || event.repeat && !event.key.startsWith("Arrow")) return;
  event.preventDefault();
  event.stopPropagation();
  act();
});

document.addEventListener("focusout", (event) => {
  if (lifted && lifted.pointer === undefined && event.target.closest?.(".grip") && !event.relatedTarget?.closest?.(".grip") && event.relatedTarget) putBack();
});

document.addEventListener("pointerdown", (event) => {
  const grip = event.target.closest?.(".grip");
  if (!grip || event.button !== 0 || lifted) return;
  event.preventDefault();
  lift(grip.parentElement, event.pointerId);
  grip.setPointerCapture(event.pointerId);
});

document.addEventListener("pointermove", (event) => {
  if (lifted?.pointer !== event.pointerId) return;
  const others = lines().filter((line) => line !== lifted.line);
  const below = others.find((line) => {
    const { top, height } = line.getBoundingClientRect();
    return event.clientY < top + height / 2;
  });
  const wanted = below ?? null;
  if (wanted) {
    if (lifted.line.nextElementSibling !== wanted) wanted.before(lifted.line);
  } else if (others.length && others.at(-1).nextElementSibling !== lifted.line) others.at(-1).after(lifted.line);
  const frame = document.getElementById("outline").getBoundingClientRect();
  const edge = 32;
  if (event.clientY < Math.max(frame.top, 0) + edge) document.getElementById("outline").scrollTop -= edge / 2;
  if (event.clientY > Math.min(frame.bottom, innerHeight) - edge) document.getElementById("outline").scrollTop += edge / 2;
});

document.addEventListener("pointerup", (event) => lifted?.pointer === event.pointerId && putDown());
document.addEventListener("pointercancel", (event) => lifted?.pointer === event.pointerId && putBack());
document.addEventListener("keydown", (event) => event.key === "Escape" && lifted && putBack());

// While a line is held, an outline that arrives would drop it: it waits, and comes with the next change.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (lifted && event.target.id === "outline-list") event.detail.shouldSwap = false;
});
