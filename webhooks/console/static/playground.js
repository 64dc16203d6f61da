// The playground: send a message, follow it by server-sent events, draw its stages, its answer and its trace.
"use strict";

const words = JSON.parse(document.body.dataset.words);
const token = document.querySelector("meta[name=csrf-token]").content;
const byId = (id) => document.getElementById(id);
const turns = new Map(); // message id -> { view, parts of the page, source }
let chosen = null;

// ---- small builders: text is always set as text, never as markup

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== "") element.textContent = text;
  return element;
}

function span(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
}

// ---- stages

const STAGES = ["classify", "generate", "reply"];
const BAD_ENDS = new Set(["apologised", "expired", "quarantined"]);

function stagesOf(view) {
  const times = [view.received_at, view.classified_at, view.answered_at, view.state === "replied" ? view.finished_at : null];
  let running = true;
  return STAGES.map((name, index) => {
    const from = times[index], to = times[index + 1];
    if (from !== null && to !== null) return { name, state: "done", ms: to - from };
    const first = running;
    running = false;
    if (!first) return { name, state: "later" };
    return view.finished ? { name, state: BAD_ENDS.has(view.state) ? "failed" : "later" } : { name, state: "running", since: from };
  });
}

function drawStages(turn) {
  const list = turn.stages;
  list.replaceChildren();
  for (const stage of stagesOf(turn.view)) {
    const item = make("li", `stage ${stage.state}`);
    item.dataset.stage = stage.name;
    item.append(make("span", "lamp"), make("span", "name", words[stage.name]));
    const time = make("span", "time", stage.state === "done" ? span(stage.ms) : "");
    if (stage.state === "running") time.dataset.running = "1";
    item.append(time);
    list.append(item);
  }
  const end = make("li", `end ${turn.view.state}`, words.states[turn.view.state]);
  if (turn.view.finished_at !== null) end.textContent += ` · ${span(turn.view.finished_at - turn.view.received_at)}`;
  list.append(end);
}

setInterval(() => {
  for (const turn of turns.values()) {
    if (turn.view.finished) continue;
    const time = turn.stages.querySelector("[data-running]");
    if (time) time.textContent = span(performance.now() - turn.changed);
  }
}, 100);

// ---- one turn: what you said, its stages, the answer

function addTurn(view) {
  byId("hello").hidden = true;
  const item = make("li", "turn");
  item.tabIndex = 0;
  item.dataset.message = view.id;
  const said = make("div", "said", view.text);
  const stages = make("ol", "stages");
  const answer = make("div", "answer waiting");
  item.append(said, stages, answer);
  byId("turns").append(item);
  const turn = { view, item, stages, answer, changed: performance.now(), source: null };
  turns.set(view.id, turn);
  item.addEventListener("click", () => choose(view.id));
  item.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(view.id); });
  answer.textContent = words.thinking;
  drawStages(turn);
  return turn;
}

function update(turn, view) {
  if (view.state !== turn.view.state) turn.changed = performance.now();
  turn.view = view;
  drawStages(turn);
  if (view.answer) showAnswer(turn, view.answer.html, view.answer.text);
  else if (view.finished) showAnswer(turn, "", view.error || (view.state === "replied" ? words.no_answer : words.states[view.state]));
  turn.item.classList.toggle("finished", view.finished);
  turn.answer.classList.toggle("growing", !view.finished && Boolean(view.answer));
  if (chosen === view.id) drawTrace(view);
}

function showAnswer(turn, html, text) {
  const atEnd = nearEnd();
  turn.answer.classList.remove("waiting");
  if (html) turn.answer.innerHTML = html; // made on the server from markdown: no raw HTML gets through
  else turn.answer.textContent = text;
  if (atEnd) toEnd();
}

const scroll = byId("scroll");
const nearEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 120;
const toEnd = () => { scroll.scrollTop = scroll.scrollHeight; };

// ---- following a message

function follow(turn) {
  const address = `/api/v1/messages/${turn.view.id}`;
  const source = new EventSource(`${address}/events?render=html`);
  turn.source = source;
  const stop = () => { source.close(); turn.source = null; };
  source.addEventListener("message", (event) => update(turn, JSON.parse(event.data)));
  source.addEventListener("text", (event) => {
    if (turn.view.answer) return;
    const growing = JSON.parse(event.data);
    turn.answer.classList.add("growing");
    showAnswer(turn, growing.html, growing.text);
  });
  source.addEventListener("done", (event) => { stop(); update(turn, JSON.parse(event.data)); });
  source.addEventListener("timeout", stop);
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return; // the browser comes back by itself
    stop();
    poll(turn, address);
  });
}

async function poll(turn, address) {
  while (!turn.view.finished) {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    try {
      const response = await fetch(`${address}?render=html`);
      if (response.ok) update(turn, await response.json());
      else if (response.status === 404) return;
    } catch {
      notice(words.lost_connection);
    }
  }
}

// ---- the trace

function choose(id) {
  chosen = id;
  for (const [other, turn] of turns) turn.item.classList.toggle("chosen", other === id);
  drawTrace(turns.get(id).view);
}

function rows(pairs) {
  const list = make("dl", "facts");
  for (const [name, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    list.append(make("dt", "", name), value instanceof Node ? wrap(value) : make("dd", "", String(value)));
  }
  return list;
}

function wrap(node) {
  const dd = make("dd");
  dd.append(node);
  return dd;
}

function meter(value) {
  const box = make("span", "meter");
  const bar = document.createElement("meter");
  bar.min = 0; bar.max = 1; bar.value = value;
  box.append(bar, make("span", "", `${Math.round(value * 100)} %`));
  return box;
}

function told([name, value]) {
  return name.endsWith("ms") ? span(value) : String(value);
}

// "classify:started", "answered" and the like, in the reader's language where there is a word for it
function stepName(step) {
  return step.split(":").map((part) => words[part] || words.states[part] || part).join(" · ");
}

function drawTrace(view) {
  const box = byId("trace");
  const answer = view.answer, kind = view.classification;
  const workers = [...new Set((view.timeline || []).map((event) => event.worker).filter(Boolean))];
  const tries = answer && Array.isArray(answer.details.tries) ? answer.details.tries : [];
  const badge = make("span", `badge ${view.state}`, words.states[view.state]);
  const parts = [
    rows([
      [words.message, `#${view.id}`],
      [words.state, badge],
      [words.kind, kind && kind.label],
      [words.confidence, kind && meter(kind.confidence)],
      [words.because, kind && kind.reason],
      [words.answered_by, answer && [answer.provider, answer.model].filter(Boolean).join(" / ")],
      [words.workflow, answer && answer.workflow],
      [words.first_token, answer && answer.first_token_ms !== null ? span(answer.first_token_ms) : ""],
      [words.model_time, answer && span(answer.latency_ms)],
      [words.tokens, answer && answer.input_tokens + answer.output_tokens > 0 ? `${answer.input_tokens} / ${answer.output_tokens}` : ""],
      [words.attempts, view.retries || ""],
      [words.worker, workers.join(", ")],
    ]),
  ];
  if (tries.length) {
    const list = make("ul", "tries");
    for (const one of tries) list.append(make("li", "", typeof one === "string" ? one : Object.entries(one).map(told).join(" · ")));
    parts.push(make("h3", "", words.tries), list);
  }
  if (view.timeline && view.timeline.length) {
    const list = make("ol", "timeline");
    for (const event of view.timeline) {
      const item = make("li", event.state);
      const line = make("div", "line");
      line.append(make("strong", "", stepName(event.step)), make("span", "time", `+${span(event.at - view.received_at)}`));
      item.append(line);
      const more = [event.worker, event.note].filter(Boolean).join(" · ");
      if (more) item.append(make("div", "muted", more));
      list.append(item);
    }
    parts.push(make("h3", "", words.timeline), list);
  }
  const link = make("a", "muted", `${words.raw} ↗`);
  link.href = `/api/v1/messages/${view.id}`;
  link.target = "_blank";
  parts.push(link);
  box.replaceChildren(...parts);
}

// ---- writing

const field = byId("text");

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = text === "";
}

async function post(address, body) {
  return fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": token },
    body: JSON.stringify(body),
  });
}

async function send(text) {
  notice("");
  byId("send").disabled = true;
  field.value = "";
  resize();
  try {
    const response = await post("/playground/messages", { text });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error.message);
    const now = Date.now();
    const view = {
      id: answer.id, text, state: "received", finished: false, received_at: now, classified_at: null, answered_at: null,
      finished_at: null, answer: null, classification: null, timeline: [], error: null, retries: 0,
    };
    const turn = turns.get(answer.id) || addTurn(view);
    choose(answer.id);
    toEnd();
    follow(turn);
  } catch (error) {
    notice(words.failed_to_send + error.message);
    if (field.value === "") field.value = text;
    resize();
  } finally {
    byId("send").disabled = false;
    field.focus();
  }
}

function resize() {
  field.rows = Math.min(8, Math.max(1, field.value.split("\n").length));
}

byId("write").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = field.value.trim();
  if (text && !byId("send").disabled) send(text);
});
field.addEventListener("input", resize);
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return; // Enter also ends pinyin
  event.preventDefault();
  byId("write").requestSubmit();
});
for (const button of document.querySelectorAll(".suggestion")) {
  button.addEventListener("click", () => send(button.textContent));
}
byId("new").addEventListener("click", async () => {
  const response = await post("/playground/conversations", {});
  if (response.ok) location.assign("/");
});
byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

// ---- what was said before, and the state of the system

async function redraw() {
  const response = await fetch("/api/v1/messages?limit=20");
  if (!response.ok) return;
  for (const summary of (await response.json()).messages.reverse()) {
    const one = await fetch(`/api/v1/messages/${summary.id}?render=html`);
    if (!one.ok || turns.has(summary.id)) continue;
    const view = await one.json();
    const turn = addTurn(view);
    update(turn, view);
    if (!view.finished) follow(turn);
    choose(view.id);
  }
  toEnd();
}

async function look() {
  let ready = null;
  try {
    ready = await (await fetch("/readyz")).json();
  } catch {
    // said below: no connection
  }
  const state = ready === null ? "unreachable" : ready.ready ? "ready" : "not_ready";
  byId("ready-dot").className = `dot ${state}`;
  byId("ready-word").textContent = words[state];
  const checks = byId("checks");
  checks.replaceChildren();
  byId("figures").textContent = "";
  if (ready === null) return;
  const onTheWay = Object.values(ready.unfinished).reduce((sum, count) => sum + count, 0);
  byId("figures").textContent = `${words.workers}${ready.workers} · ${words.on_the_way}${onTheWay}`;
  for (const [name, check] of Object.entries(ready.checks)) {
    const item = make("li", check.ok ? "ok" : "bad");
    item.append(make("strong", "", name), make("span", "muted", check.reason));
    checks.append(item);
  }
}

redraw();
look();
setInterval(() => { if (!document.hidden) look(); }, 5000);
document.addEventListener("click", (event) => {
  for (const card of document.querySelectorAll("details.system")) {
    if (!card.contains(event.target)) card.open = false;
  }
});
