// Before anything is painted: light or dark, the reader's own choice or else the system's.
"use strict";

(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => { root.dataset.s = dark.matches ? "dark" : "light"; };
  if (root.dataset.s) return;
  follow();
  dark.addEventListener("change", () => { if (!document.cookie.includes("ronda_scheme=")) follow(); });
})();
