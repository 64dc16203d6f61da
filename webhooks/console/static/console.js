// The console: the theme, and no fresh page under the hands of somebody who writes or looks into a menu.
"use strict";
document.addEventListener("click", (event) => {
  if (event.target.closest("#theme")) {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  }
  for (const open of document.querySelectorAll("details[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const open of document.querySelectorAll("details[open]")) open.open = false;
});
const busy = (part) => part.querySelector("details[open]") !== null
  || (part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea"));
let pressed = false; // a button that is replaced between press and release is never clicked
document.addEventListener("pointerdown", () => { pressed = true; }, true);
for (const kind of ["pointerup", "pointercancel"]) document.addEventListener(kind, () => { pressed = false; }, true);
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.id === "live" && (document.hidden || busy(event.target))) event.preventDefault();
});
document.addEventListener("htmx:beforeSwap", (event) => { // they may have begun since the page was asked for
  if (event.target.id === "live" && (pressed || busy(event.target))) event.detail.shouldSwap = false;
});
const lost = (is) => { document.getElementById("lost").hidden = !is; };
document.addEventListener("htmx:sendError", () => lost(true));
document.addEventListener("htmx:timeout", () => lost(true));
document.addEventListener("htmx:afterRequest", (event) => {
  const status = event.detail.xhr ? event.detail.xhr.status : 0;
  if (status >= 500) lost(true);
  else if (status >= 200 && status < 400) lost(false);
});
