"use strict";
// Keys, drafts, dragging and differences on the page of a task. Without this file all of it can be done by mouse and form.

const form = document.getElementById("task");
const kind = form.dataset.kind;
const skip = document.getElementById("skip");
const cards = () => [...document.querySelectorAll("#answers .answer")];
const selects = () => cards().map((card) => card.querySelector("select"));
let sent = false;

// A form is sent once, however often a key is hit.
for (const each of document.querySelectorAll("form[method=post]")) {
  each.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
}
window.addEventListener("pageshow", () => { sent = false; });

function press(selector) {
  const button = document.querySelector(selector);
  if (button && !sent) button.click();
}

/* keys */

const PICKS = { 1: "left", 2: "right", 0: "tie", "=": "tie", q: "left 3", w: "left 2", e: "left 1", i: "right 1", o: "right 2", p: "right 3" };
const SIDES = { 1: "left", 2: "right", 0: "tie", "=": "tie" };
let skipping = "";

// Who speaks to the computer, or hits keys by accident, can do without single keys (WCAG 2.1.4).
const singleKeys = document.getElementById("single-keys");
singleKeys.checked = localStorage.getItem("single keys") !== "off";
singleKeys.addEventListener("change", () => localStorage.setItem("single keys", singleKeys.checked ? "on" : "off"));

function isWriting(target) {
  return target.matches("textarea, input:not([type=radio]), select");
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey) {
    if (event.key === "Enter" && kind === "edit") form.requestSubmit();
    return;
  }
  if (event.altKey || !singleKeys.checked || document.getElementById("keys").open) return;
  if (isWriting(event.target) && event.key !== "Escape") return;
  const key = event.key.toLowerCase();
  if (skipping && event.key >= "1" && event.key <= "9") {
    const reasons = skip.querySelectorAll("input[name=reason]");
    const reason = reasons[Number(event.key) - 1];
    if (reason) {
      reason.checked = true;
      press(`#skip button[value=${skipping}]`);
    }
    event.preventDefault();
    return;
  }
  const act = ACTS[key] || KINDS[kind];
  if (act(key, event) !== false) event.preventDefault();
}

function startSkip(how) {
  skipping = how;
  skip.open = true;
  skip.querySelector("input[name=reason]").focus();
}

const ACTS = {
  s: () => startSkip("skip"),
  f: () => startSkip("flag"),
  u: () => press("#undo button"),
  d: () => press("#toggle-differences"),
  "?": () => document.getElementById("keys").showModal(),
  escape: () => { skipping = ""; skip.open = false; document.activeElement.blur(); },
};

const KINDS = {
  pair: (key) => (PICKS[key] ? press(`button[name=choice][value="${PICKS[key]}"]`) : false),
  best: (key) => (key >= "1" && key <= "9" ? press(`button[name=place][value="${Number(key) - 1}"]`) : false),
  attributes: chooseAttribute,
  ranking: rank,
  edit: () => false,
};

let current = 0;

function mark(list) {
  list.forEach((each, place) => {
    each.classList.toggle("current", place === current);
    if (place === current) each.setAttribute("aria-current", "true");
    else each.removeAttribute("aria-current");
  });
}

function chooseAttribute(key, event) {
  const fields = [...document.querySelectorAll(".attribute")];
  if (key === "enter" && event.target.tagName !== "BUTTON") return form.requestSubmit();
  if (key === "backspace") current = Math.max(0, current - 1);
  else if (SIDES[key] && current < fields.length) {
    fields[current].querySelector(`input[value=${SIDES[key]}]`).checked = true;
    current += 1;
  } else return false;
  return mark(fields);
}

function rank(key, event) {
  const all = selects();
  if (key === "enter" && event.target.tagName !== "BUTTON") return form.requestSubmit();
  if (key === "backspace") current = Math.max(0, current - 1);
  else if (key >= "1" && Number(key) <= all.length && current < all.length) {
    all[current].value = key;
    current += 1;
    keepSoon();
  } else return false;
  return mark(cards());
}

document.addEventListener("keydown", onKey);
if (kind === "attributes") mark([...document.querySelectorAll(".attribute")]);
if (kind === "ranking") {
  current = selects().findIndex((each) => !each.value);
  if (current < 0) current = selects().length;
  mark(cards());
}

/* drafts */

let waiting = 0;

function keepSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(keep, 800);
}

async function keep() {
  if (sent) return;
  const body = new URLSearchParams({ form_key: form.elements.form_key.value });
  if (kind === "edit") body.set("text", form.elements.text.value);
  if (kind === "ranking") body.set("ranks", selects().map((each) => each.value).join(","));
  const answer = await fetch(`/draft/${form.dataset.lease}`, { method: "POST", body }).catch(() => null);
  document.getElementById("saved").textContent = answer && answer.ok ? "· draft saved" : "· draft NOT saved";
}

if (kind === "edit") form.elements.text.addEventListener("input", keepSoon);
if (kind === "ranking") selects().forEach((each) => each.addEventListener("change", keepSoon));

/* dragging: the order of the cards becomes their places; the form keeps the order in which they were shown */

let dragged = null;
if (kind === "ranking") {
  const shown = cards();
  for (const card of shown) {
    card.addEventListener("dragstart", () => { dragged = card; card.classList.add("dragged"); });
    card.addEventListener("dragend", () => { card.classList.remove("dragged"); dragged = null; });
    card.addEventListener("dragover", (event) => event.preventDefault());
    card.addEventListener("drop", (event) => {
      event.preventDefault();
      if (!dragged || dragged === card) return;
      const before = cards().indexOf(dragged) > cards().indexOf(card);
      card.parentNode.insertBefore(dragged, before ? card : card.nextSibling);
      cards().forEach((each, place) => { each.querySelector("select").value = String(place + 1); });
      keepSoon();
    });
  }
  form.addEventListener("submit", () => shown.forEach((card) => card.parentNode.append(card)));
}

/* differences, and what only works with this file */

for (const each of document.querySelectorAll(".scripted")) each.hidden = false;
document.getElementById("show-keys").addEventListener("click", ACTS["?"]);
skip.addEventListener("toggle", () => { if (!skip.open) skipping = ""; });

const toggle = document.getElementById("toggle-differences");
if (toggle) {
  toggle.addEventListener("click", async () => {
    const place = document.getElementById("differences");
    if (!place.hasChildNodes()) {
      const answer = await fetch(`/differences/${form.dataset.queue}/${form.dataset.lease}`);
      if (!answer.ok) return;
      const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
      place.replaceChildren(...parsed.body.children);
    }
    place.hidden = !place.hidden;
    document.getElementById("answers").hidden = !place.hidden;
    toggle.setAttribute("aria-pressed", String(!place.hidden));
  });
}
