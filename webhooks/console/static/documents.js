// Documents on the playground: dropped or chosen, sent with progress, and watched until they are read.
"use strict";

const sending = new Map(); // name -> { share, note }
let listed = { count: 0, documents: [] };
let looking = 0;
let drawn = "";

function drawDocuments() {
  const now = JSON.stringify([[...sending], listed]);
  if (now === drawn) return; // a button that is new between press and release is never clicked
  drawn = now;
  const list = byId("documents-list");
  list.replaceChildren();
  for (const [name, one] of sending) {
    const item = make("li", one.note ? "failed" : "sending");
    item.append(make("strong", "", name), make("span", "muted", one.note || words.documents_states.sending));
    if (!one.note) item.append(bar(one.share, 1));
    else item.append(button("×", words.documents_remove, () => { sending.delete(name); drawDocuments(); }));
    list.append(item);
  }
  for (const one of listed.documents) {
    const item = make("li", one.state);
    item.dataset.state = one.state;
    const state = words.documents_states[one.state] || one.state;
    const told = one.state === "ready" ? `${state} · ${words.documents_pieces}${one.chunks}` : state;
    const line = make("span", "muted");
    line.append(make("span", "state", told));
    if (one.note) line.append(` · ${one.note}`);
    item.append(make("strong", "", one.source), line);
    if (one.state === "embedding" && one.chunks) item.append(bar(one.embedded, one.chunks));
    if (one.state !== "removing") item.append(button("×", `${words.documents_remove}: ${one.source}`, () => removeDocument(one.id)));
    list.append(item);
  }
  if (!list.children.length) list.append(make("li", "", words.documents_none));
  if (listed.count > listed.documents.length) list.append(make("li", "muted", words.documents_others));
  byId("documents-count").textContent = String(listed.count);
  byId("documents-count").hidden = listed.count === 0;
}

function bar(value, most) {
  const element = document.createElement("progress");
  element.max = most;
  element.value = value;
  return element;
}

function button(text, label, act) {
  const element = make("button", "", text);
  element.type = "button";
  element.title = label;
  element.setAttribute("aria-label", label);
  element.addEventListener("click", (event) => { event.stopPropagation(); act(); });
  return element;
}

async function lookAtDocuments() {
  clearTimeout(looking);
  try {
    const response = await fetch("/playground/documents");
    if (response.ok) listed = await response.json();
  } catch {
    // said by the lamp of the system: no connection
  }
  drawDocuments();
  const busy = sending.size > 0 || listed.documents.some((one) => !one.finished);
  if (busy || byId("documents").open) looking = setTimeout(lookAtDocuments, busy ? 1000 : 5000);
}

async function removeDocument(id) {
  await fetch(`/playground/documents/${id}`, { method: "DELETE", headers: { "X-CSRFToken": token } });
  lookAtDocuments();
}

// XMLHttpRequest, because fetch does not tell how much has been sent
function sendDocument(file) {
  const one = { share: 0, note: "" };
  sending.set(file.name, one);
  const request = new XMLHttpRequest();
  request.open("PUT", `/playground/documents/${encodeURIComponent(file.name)}`);
  request.setRequestHeader("X-CSRFToken", token);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) one.share = event.loaded / event.total;
    drawDocuments();
  });
  request.addEventListener("loadend", () => {
    if (request.status === 202) sending.delete(file.name);
    else if (request.status === 413) one.note = words.documents_too_large;
    else one.note = words.documents_failed + (reason(request) || words.unreachable);
    lookAtDocuments();
  });
  request.send(file);
}

function reason(request) {
  try {
    return JSON.parse(request.responseText).error.message;
  } catch {
    return request.status ? String(request.status) : "";
  }
}

function take(files) {
  if (!files.length) return;
  byId("documents").open = true;
  for (const file of files) sendDocument(file);
  drawDocuments();
}

byId("documents-file").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = "";
});
byId("documents").addEventListener("toggle", () => { if (byId("documents").open) lookAtDocuments(); });

const holdsFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
document.addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  byId("dropping").hidden = false;
});
document.addEventListener("dragleave", (event) => { if (event.relatedTarget === null) byId("dropping").hidden = true; });
document.addEventListener("drop", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  byId("dropping").hidden = true;
  take([...event.dataTransfer.files]);
});
lookAtDocuments();
