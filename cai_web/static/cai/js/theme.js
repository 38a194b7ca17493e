// Light, dark or as the system says. Loaded before paint and not as a module, so that the page never flashes.
(function () {
  "use strict";
  const KEY = "writ-theme";
  const root = document.documentElement;

  function stored() {
    try {
      return localStorage.getItem(KEY) || "system";
    } catch {
      return "system"; // storage refused: the system decides
    }
  }

  function show(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }

  show(stored());

  addEventListener("storage", (event) => {
    if (event.key === KEY) show(stored());
  });

  document.addEventListener("DOMContentLoaded", () => {
    // Without JavaScript the switch would do nothing, so the markup keeps it hidden until here.
    for (const set of document.querySelectorAll("[data-theme-switch]")) {
      set.hidden = false;
      for (const radio of set.querySelectorAll("input")) {
        radio.checked = radio.value === stored();
        radio.addEventListener("change", () => {
          show(radio.value);
          try {
            localStorage.setItem(KEY, radio.value);
          } catch {
            /* it holds for this page */
          }
        });
      }
    }
  });
})();
