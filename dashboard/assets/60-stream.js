// The one live connection: reconnects by itself, asks for what it missed, tells the page, and says how it stands.
"use strict";

(() => {
  const FIRST_WAIT_MS = 500;
  const LONGEST_WAIT_MS = 8000;
  // Readings come each second; a connection that is silent for so long no longer speaks for the plant.
  const STALE_AFTER_MS = 20000;
  // A repeat has the same id; more than the server keeps in its ring need not be remembered.
  const REMEMBERED = 2000;
  const DROPPED_SHOWN_MS = 10000;

  const listeners = new Map();
  const heard = new Set();
  let since = null;
  let lastEvent = null;
  let delay = null;
  let failures = 0;
  let retryAt = 0;
  let open = false;
  let dropped = { count: 0, until: 0 };
  let shown = "";

  ronda.on = (type, listener) => listeners.set(type, [...(listeners.get(type) || []), listener]);
  const tell = (type, data, message) => (listeners.get(type) || []).forEach((listener) => listener(data, message));

  function isRepeat(id) {
    if (heard.has(id)) return true;
    heard.add(id);
    if (heard.size > REMEMBERED) heard.delete(heard.values().next().value);
    return false;
  }

  function receive(text) {
    const message = JSON.parse(text);
    lastEvent = Date.now();
    if (message.type === "hello") {
      // What was missed follows it, so its position counts only when nothing was asked for.
      if (since === null) since = message.position;
      return tell("hello", message.data, message);
    }
    since = Math.max(since ?? 0, message.position);
    if (isRepeat(message.id)) return;
    // A position is the server's time in microseconds.
    if (message.type === "reading") delay = Math.max(0, lastEvent - message.position / 1000);
    if (message.type === "dropped") dropped = { count: message.data.count, until: lastEvent + DROPPED_SHOWN_MS };
    tell(message.type, message.data, message);
  }

  async function reconnect(event) {
    open = false;
    // Expired or never valid: only a person can help, on the login page.
    if (event.code === 4401 || (failures > 0 && (await isLoggedOut()))) return location.reload();
    // With jitter, so that a restarted server does not meet all of its browsers at once.
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures) * (0.75 + Math.random() / 2);
    failures += 1;
    retryAt = Date.now() + wait;
    setTimeout(connect, wait);
    show();
  }

  async function isLoggedOut() {
    const answer = await fetch("/api/v1/auth/session").catch(() => null);
    return answer !== null && answer.status === 401;
  }

  function connect() {
    const address = new URL("/api/v1/stream", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    if (since !== null) address.searchParams.set("since", since);
    const socket = new WebSocket(address);
    socket.onopen = () => {
      const returned = failures > 0;
      open = true;
      failures = 0;
      lastEvent = Date.now();
      show();
      if (returned) tell("returned", {});
    };
    socket.onmessage = (event) => receive(event.data);
    socket.onclose = reconnect;
    ronda.socket = socket;
  }

  function state() {
    if (open && Date.now() - lastEvent < STALE_AFTER_MS) {
      const late = delay === null ? "" : ronda.say("delay", { length: ronda.length(delay) });
      const detail = Date.now() < dropped.until ? ronda.say("dropped", { n: dropped.count }) : late;
      return ["live", "ok", "healthy", ronda.say("live"), detail];
    }
    const silent = lastEvent === null ? Infinity : Date.now() - lastEvent;
    if (!open && silent < STALE_AFTER_MS) {
      const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
      return ["reconnecting", "warn", "warning", ronda.say("reconnecting"), ronda.say("try", { n: failures, seconds })];
    }
    const last = lastEvent === null ? "" : ronda.say("last_event", { time: ronda.time(lastEvent) });
    return ["stale", "none", "no-data", ronda.say("stale"), last];
  }

  function show() {
    const badge = document.getElementById("connection");
    if (!badge) return;
    const [name, tone, glyph, word, detail] = state();
    document.documentElement.dataset.connection = name;
    const text = `${name} ${detail}`;
    if (shown === text && badge.firstChild) return;
    shown = text;
    badge.className = `badge ${tone}`;
    // Spoken when the state changes, not with each new delay.
    if (badge.dataset.state !== name) badge.replaceChildren(mark(glyph, tone), Object.assign(document.createElement("span"), { textContent: word }));
    badge.dataset.state = name;
    const small = badge.querySelector(".r") || badge.appendChild(Object.assign(document.createElement("span"), { className: "r desk-only", ariaHidden: "true" }));
    small.textContent = detail;
  }

  function mark(glyph, tone) {
    return Object.assign(document.createElement("span"), { className: `glyph glyph-${glyph} k-${tone}`, ariaHidden: "true" });
  }

  setInterval(show, 1000);
  connect();
})();
