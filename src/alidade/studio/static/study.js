"use strict";
// Finding while one types, and steps that come by themselves. Without this file a form finds, and a page loads itself again.

/* finding */

const filter = document.getElementById("filter");
let pending = 0;

async function find() {
  const asked = new URLSearchParams([...new FormData(filter)].filter(([, value]) => value));
  const where = asked.size ? `/?${asked}` : "/";
  const answer = await fetch(where).catch(() => null);
  if (!answer || !answer.ok || where !== wanted()) return;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.getElementById("found").replaceChildren(...parsed.getElementById("found").childNodes);
  history.replaceState(null, "", where);
}

function wanted() {
  const asked = new URLSearchParams([...new FormData(filter)].filter(([, value]) => value));
  return asked.size ? `/?${asked}` : "/";
}

if (filter) {
  filter.addEventListener("input", () => { clearTimeout(pending); pending = setTimeout(find, 150); });
  filter.addEventListener("submit", (event) => { event.preventDefault(); find(); });
}

/* steps */

const loop = document.getElementById("loop");

async function follow() {
  const answer = await fetch(loop.dataset.from).catch(() => null);
  if (!answer || !answer.ok) {
    document.getElementById("said").textContent = "The server does not answer.";
    return;
  }
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of [...parsed.body.children]) {
    const there = document.getElementById(part.id);
    if (!there) loop.append(part);
    else if (part.id === "standing") stand(there, part);
    else if (there.dataset.state !== part.dataset.state) there.replaceWith(part);
  }
  if (document.querySelector("#standing form")) setTimeout(follow, 250);
}

// The line that is read out stays the same element, or nobody hears that it has changed.
function stand(there, part) {
  if (there.dataset.state === part.dataset.state) return;
  const said = there.querySelector("#said");
  said.textContent = part.querySelector("#said").textContent;
  said.className = part.querySelector("#said").className;
  there.dataset.state = part.dataset.state;
  const button = part.querySelector("a");
  if (button) {
    const had = there.contains(document.activeElement);
    there.querySelector("form").replaceWith(button);
    if (had) button.focus();
  }
}

if (loop && document.querySelector("#standing form")) follow();

/* a form is sent once, however often a key is hit */

let sent = false;
for (const each of document.querySelectorAll("form[method=post]")) {
  each.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
}
window.addEventListener("pageshow", () => { sent = false; });
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.closest("form[method=post]")?.requestSubmit();
});
