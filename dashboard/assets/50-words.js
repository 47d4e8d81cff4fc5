// The words that the browser says by itself, and numbers and times in the reader's notation and the site's zone.
"use strict";

window.ronda = (() => {
  const told = JSON.parse(document.getElementById("ronda-words").textContent);
  const clock = new Intl.DateTimeFormat(told.language, { timeStyle: "medium", hourCycle: "h23", timeZone: told.zone });
  // `São Paulo, UTC−3`: the zone's city, and where it stands now.
  const offset = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset", timeZone: told.zone });
  const NO_BREAK = "\u00a0";

  function say(code, values = {}) {
    return told.words[code].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  // As many digits as the pages write: about three that matter.
  function number(value, fixed, language = told.language) {
    const size = Math.abs(value);
    const digits = fixed ?? (Number.isInteger(value) || size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3);
    return value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  }

  function length(milliseconds) {
    const seconds = Math.floor(milliseconds / 1000);
    const two = (n) => String(n).padStart(2, "0");
    if (milliseconds < 1000) return `${Math.round(milliseconds)}${NO_BREAK}ms`;
    if (seconds < 10) return `${number(Math.floor(milliseconds / 100) / 10, 1)}${NO_BREAK}s`;
    if (seconds < 60) return `${seconds}${NO_BREAK}s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)}${NO_BREAK}min`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)}${NO_BREAK}h${NO_BREAK}${two(Math.floor((seconds % 3600) / 60))}${NO_BREAK}min`;
    return `${Math.floor(seconds / 86400)}${NO_BREAK}d${NO_BREAK}${Math.floor((seconds % 86400) / 3600)}${NO_BREAK}h`;
  }

  return {
    say,
    number,
    length,
    value: (value, unit) => (unit ? `${number(value)}${NO_BREAK}${unit}` : number(value)),
    time: (at) => clock.format(at),
    place: (at) => {
      const part = offset.formatToParts(at).find((each) => each.type === "timeZoneName").value;
      const utc = part.replace("GMT", "UTC").replace("+0", "").replace("-", "−");
      return told.zone === "UTC" ? utc : `${told.place}, ${utc}`;
    },
    // Dash's own way to change a property from outside, for a store that the open page has.
    set: (store, data) => document.getElementById(`${store}-place`) && window.dash_clientside.set_props(store, { data }),
  };
})();
