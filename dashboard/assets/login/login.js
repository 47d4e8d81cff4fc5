// Trades name and password for the session cookie, which this script cannot read, and goes where the reader wanted.
"use strict";

(() => {
  const form = document.getElementById("login");
  const refused = document.getElementById("refused");

  // Only pages of this dashboard: an address from outside must not choose where a logged-in person lands.
  function wanted() {
    const next = new URLSearchParams(location.search).get("next") || "/ui/";
    const there = new URL(next, location.origin);
    return there.origin === location.origin && there.pathname.startsWith("/ui/") ? there.href : "/ui/";
  }

  async function told(answer) {
    if (answer.status === 400 || answer.status === 401) return form.dataset.wrong;
    const problem = await answer.json().catch(() => ({}));
    return problem.detail || form.dataset.away;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    refused.textContent = "";
    const body = JSON.stringify(Object.fromEntries(new FormData(form)));
    const headers = { "content-type": "application/json", "x-ronda-csrf": "1" };
    try {
      const answer = await fetch("/api/v1/auth/session", { method: "POST", headers, body });
      if (answer.ok) location.assign(wanted());
      else refused.textContent = await told(answer);
    } catch {
      refused.textContent = form.dataset.away;
    }
  });
})();
