// A hint leads to its words: <a href="#id_text" data-jump data-start="17" data-words="appropriate"> puts the focus into the field and
// selects them. They may have moved while the hint was on its way, so the place nearest to where they stood is taken.
function placeOf(text, words, start) {
  let best = -1;
  for (let at = text.indexOf(words); at !== -1; at = text.indexOf(words, at + 1)) {
    if (best === -1 || Math.abs(at - start) < Math.abs(best - start)) best = at;
  }
  return best;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-jump]");
  const field = link && document.getElementById(link.hash.slice(1));
  if (!field) return;
  event.preventDefault();
  field.closest("details")?.setAttribute("open", "");
  field.focus();
  const { words, start } = link.dataset;
  const at = words ? placeOf(field.value, words, Number(start)) : -1;
  if (at !== -1) field.setSelectionRange(at, at + words.length);
});
