// What the stream and the reader's clicks change on the page that is open. Dash renders; this only wakes it up.
"use strict";

(() => {
  // Many events of one moment wake the server once; the first at once.
  const WAKE_MS = 200;
  // As the pages say it: what reports each second was seen just now.
  const JUST_NOW_MS = 5000;
  const DAYS_KEPT = 365;
  const wakes = new Map();
  let followed = null;
  let fresh = 0;

  function wake(store) {
    const last = wakes.get(store) || 0;
    const wait = Math.max(0, last + WAKE_MS - Date.now());
    if (last > Date.now()) return;
    wakes.set(store, Date.now() + wait);
    setTimeout(() => ronda.set(store, Date.now()), wait);
  }

  const follows = (data) => followed !== null && data.correlation_id === followed;

  ronda.on("hop", (data) => follows(data) && wake("trace-pulse"));
  ronda.on("notification", (data) => {
    if (follows(data)) wake("trace-pulse");
    wake("anomaly-pulse");
  });
  ronda.on("anomaly", (data) => {
    if (follows(data)) wake("trace-pulse");
    wake("anomaly-pulse");
    if (data.phase === "raised") announce();
  });
  const renew = () => ["anomaly-pulse", "trace-pulse"].forEach(wake);
  ronda.on("dropped", renew);
  ronda.on("hello", (data) => data.whole || renew());
  ronda.on("returned", renew);

  // New anomalies wait behind a button, so that no row jumps under the pointer.
  function announce() {
    const pill = document.getElementById("show-new");
    if (!pill) return;
    fresh += 1;
    pill.hidden = false;
    pill.querySelector("[data-new-count]").textContent = ronda.say("new", { n: fresh });
  }

  ronda.on("reading", (data) => {
    const device = CSS.escape(`${data.site}/${data.device}`);
    for (const seen of document.querySelectorAll(`[data-seen="${device}"]`)) seen.dataset.since = data.received_at_ms;
    for (const place of document.querySelectorAll(`[data-live="${device}"]`)) {
      const value = data.values[place.dataset.metric];
      if (value === undefined) continue;
      place.textContent = ronda.value(value, place.dataset.unit);
      const { low, high, tone } = place.dataset;
      if (tone) place.classList.toggle(`x-${tone}`, value < Number(low) || value > Number(high));
    }
  });

  setInterval(() => {
    const clock = document.getElementById("site-clock");
    if (clock) clock.innerHTML = `<b>${ronda.time(Date.now())}</b> ${ronda.place(Date.now())}`;
    for (const ago of document.querySelectorAll("[data-since]")) {
      const passed = Date.now() - ago.dataset.since;
      const words = passed < JUST_NOW_MS ? ronda.say("now") : ronda.say("ago", { length: ronda.length(passed) });
      if (ago.textContent !== words) ago.textContent = words;
    }
  }, 1000);

  function keep(cookie, value) {
    document.cookie = `${cookie}=${value}; path=/; max-age=${DAYS_KEPT * 86400}; samesite=strict`;
  }

  const actions = {
    // An error card repeats what failed: the page's own button, or the callback behind a store.
    "retry-click": ({ target }) => document.getElementById(target)?.click(),
    "retry-pulse": ({ target }) => ronda.set(target, Date.now()),
    scheme: () => {
      const scheme = document.documentElement.dataset.s === "dark" ? "light" : "dark";
      document.documentElement.dataset.s = scheme;
      keep("ronda_scheme", scheme);
      ronda.set("scheme", scheme);
    },
    "log-out": async () => {
      await fetch("/api/v1/auth/session", { method: "DELETE", headers: { "x-ronda-csrf": "1" } });
      location.assign("/ui/login");
    },
  };

  document.addEventListener("click", async (event) => {
    const clicked = event.target.closest("[data-action], [data-language], [data-copy], #show-new");
    if (!clicked) return;
    const { action, language, copy } = clicked.dataset;
    if (action) actions[action](clicked.dataset);
    if (language) {
      keep("ronda_language", language);
      location.reload();
    }
    if (copy) {
      await navigator.clipboard.writeText(copy);
      clicked.lastElementChild.textContent = ronda.say("copied");
    }
    if (clicked.id === "show-new") fresh = 0;
  });

  document.addEventListener("change", (event) => {
    const { store } = event.target.dataset;
    if (store) ronda.set(store, event.target.value);
  });

  window.dash_clientside = Object.assign(window.dash_clientside || {}, {
    ronda: {
      // The page has come: its title, and which entry of the navigation leads here.
      arrived: (path, heading) => {
        fresh = 0;
        if (heading) document.title = heading;
        for (const link of document.querySelectorAll("#places a, #tabs a, .seg a")) {
          const here = new URL(link.href).pathname;
          const isHere = link.closest(".seg") ? link.classList.contains("on") : here === "/ui/" ? path === here || path.startsWith("/ui/device/") : path.startsWith(here);
          if (isHere) link.setAttribute("aria-current", "page");
          else link.removeAttribute("aria-current");
        }
      },
      // The round that the stream's events are to wake; its address can be sent to somebody else.
      follow: (run) => {
        followed = run ? run.id : null;
        if (followed) history.replaceState({}, "", `?id=${encodeURIComponent(followed)}`);
      },
    },
  });
})();
