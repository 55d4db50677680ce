"use strict";
// Keys on the page of a talk. Without this file all of it can be done by mouse and form.

const field = document.getElementById("text");
let sent = false;

// A form is sent once, however often a key is hit.
for (const each of document.querySelectorAll("form[method=post]")) {
  each.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
}
window.addEventListener("pageshow", () => { sent = false; });
for (const each of document.querySelectorAll(".scripted")) each.hidden = false;

const BUTTONS = { n: "#anew button", u: "#undo button" };

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) document.getElementById("message")?.requestSubmit();
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === field) {
    if (event.key === "Escape") field.blur();
    return;
  }
  const button = document.querySelector(BUTTONS[event.key.toLowerCase()] || "#none");
  if (button && !sent) button.click();
});
