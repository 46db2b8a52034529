"use strict";
const at = (id) => document.getElementById(id);
const [source, target, text, translation] = ["source", "target", "text", "translation"].map(at);
const names = new Map();
let languages = [];
let turn = 0;
let waiting = null;

function say(message, wrong = false) {
  at("status").textContent = message;
  at("status").classList.toggle("wrong", wrong);
}

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...body, api_key: at("key").value }),
  };
  const answer = await fetch(path, options);
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Error(typeof told.error === "string" ? told.error : `status ${answer.status}`);
  }
  return answer;
}

function fill(select, codes, wanted) {
  select.replaceChildren(...codes.map((code) => new Option(names.get(code) || code, code)));
  if (codes.includes(wanted)) select.value = wanted;
}

function fillTargets(wanted) {
  const found = languages.find((language) => language.code === source.value);
  fill(target, found ? found.targets : [], wanted);
  const back = languages.find((language) => language.code === target.value);
  at("swap").disabled = !back || !back.targets.includes(source.value);
}

async function begin() {
  languages = await (await ask("languages")).json();
  const settings = await (await ask("frontend/settings")).json();
  at("key-field").hidden = !settings.keyRequired;
  const shown = typeof Intl === "object" && Intl.DisplayNames
    ? new Intl.DisplayNames(["en"], { type: "language", fallback: "none" }) : null;
  const codes = languages.flatMap((language) => [language.code, ...language.targets]);
  for (const code of codes) {
    let name;
    try { name = shown && shown.of(code.replace("_", "-")); } catch { name = undefined; }
    names.set(code, name || code);
  }
  for (const language of languages)
    if (language.name !== language.code) names.set(language.code, language.name);
  fill(source, languages.map((language) => language.code));
  fillTargets();
  if (!languages.length) say("This service has no model that translates.", true);
  document.documentElement.lang = "en";
}

const asked = () => ({
  q: text.value, source: source.value, target: target.value,
  alternatives: Number(at("alternatives").value),
});

async function translate() {
  const own = ++turn;
  if (!text.value.trim()) return show([]);
  say("Translating ...");
  try {
    const documents = await (await ask("details", asked())).json();
    if (own !== turn) return;
    show(documents);
  } catch (error) {
    if (own === turn) say(error.message, true);
  }
}

function show(documents) {
  translation.lang = target.value;
  text.lang = source.value;
  translation.value = documents.map((line) => line.translations[0].text).join("\n");
  at("receipt").disabled = !documents.length;
  showAlternatives(documents);
  showAlignment(documents);
  const cut = documents.filter((line) => line.truncated).length;
  say(cut ? `${cut} of the lines are too long for the model, and were cut.` : "", cut > 0);
}

function showAlternatives(documents) {
  const most = Math.max(0, ...documents.map((line) => line.translations.length));
  const items = [];
  for (let rank = 1; rank < most; rank += 1) {
    const item = document.createElement("li");
    item.lang = target.value;
    item.textContent = documents
      .map(({ translations }) => translations[Math.min(rank, translations.length - 1)].text)
      .join("\n");
    items.push(item);
  }
  at("alternatives-list").hidden = !items.length;
  at("alternatives-list").querySelector("ol").replaceChildren(...items);
}

function showAlignment(documents) {
  const lines = documents.filter((line) => line.source_tokens.length);
  at("alignment").hidden = !lines.length;
  at("alignment").querySelector("div").replaceChildren(...lines.map(pair));
}

function pair(line) {
  const best = line.translations[0];
  const box = document.createElement("div");
  box.className = "pair";
  const above = tokens(line.source_tokens, source.value, "Tokens of the text");
  const below = tokens(best.tokens, target.value, "Tokens of the translation");
  const sides = [above, below].map((side) => Array.from(side.children));
  const mark = (side, place) => {
    for (const span of sides.flat()) span.classList.remove("on");
    if (place === null) return;
    sides[side][place].classList.add("on");
    for (const point of best.alignment)
      if (point[side] === place) sides[1 - side][point[1 - side]].classList.add("on");
  };
  sides.forEach((spans, side) => spans.forEach((span, place) => {
    span.addEventListener("mouseenter", () => mark(side, place));
    span.addEventListener("mouseleave", () => mark(side, null));
    span.addEventListener("focus", () => mark(side, place));
    span.addEventListener("blur", () => mark(side, null));
    span.addEventListener("click", () => span.focus());
    span.addEventListener("keydown", (event) => move(event, spans, place));
  }));
  box.append(above, below);
  return box;
}

function tokens(pieces, language, label) {
  const line = document.createElement("p");
  line.className = "tokens";
  line.lang = language;
  line.setAttribute("role", "group");
  line.setAttribute("aria-label", label);
  pieces.forEach((piece, place) => {
    const span = document.createElement("span");
    span.textContent = piece.replaceAll("\u2581", " ");
    span.tabIndex = place ? -1 : 0;
    line.append(span);
  });
  return line;
}

function move(event, spans, place) {
  const next = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: spans.length - 1 };
  const to = spans[next[event.key]];
  if (!to) return;
  event.preventDefault();
  spans[place].tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

async function receipt() {
  try {
    const content = await (await ask("receipt", asked())).blob();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = "int8ref.receipt";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    say("The receipt is in your downloads.");
  } catch (error) {
    say(error.message, true);
  }
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(translate, 500);
}

at("translate").addEventListener("click", translate);
at("receipt").addEventListener("click", receipt);
at("alternatives").addEventListener("change", translate);
at("copy").addEventListener("click", () => {
  translation.select();
  if (navigator.clipboard) navigator.clipboard.writeText(translation.value);
});
at("swap").addEventListener("click", () => {
  const [from, to, old] = [source.value, target.value, translation.value];
  source.value = to;
  fillTargets(from);
  if (old) text.value = old;
  translate();
});
source.addEventListener("change", () => { fillTargets(target.value); translate(); });
target.addEventListener("change", () => { fillTargets(target.value); translate(); });
text.addEventListener("input", soon);
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) translate();
});
begin().catch((error) => say(error.message, true));
