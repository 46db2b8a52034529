"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const css = (name) => `var(--${name})`;

// Elements.  Every text of the data goes in as text, never as HTML.
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else if (name === "style") made.style.cssText = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}
function shape(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Numbers.
const small = (x) => {
  if (x === null || x === undefined) return "–";
  if (x === 0) return "0";
  if (Math.abs(x) >= 1e5 || Math.abs(x) < 1e-3) {
    const [digits, power] = x.toExponential(2).split("e");
    const raised = [...String(Number(power))].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("");
    return `${digits}·10${raised}`;
  }
  return String(Number(x.toPrecision(3)));
};
const percent = (x) => (x === null ? "–" : x === 0 ? "0 %" : x < 0.001 ? `${small(100 * x)} %` : `${(100 * x).toFixed(x < 0.1 ? 2 : 1)} %`);
const decibel = (x) => (x === null ? "–" : x.toFixed(1));
const plain = (x) => (x === null ? "–" : String(x));
const embedding = data.kind === "embedding";
const LOSS = embedding ? "1 − cosine" : "KL, nats";

const FORMS = {
  loss: [LOSS, small], largest: ["largest", small], share: ["share", percent], changed: ["other choice", percent],
  alone_db: ["alone, dB", decibel], accumulated_db: ["accumulated, dB", decibel], rounding_db: ["rounding, dB", decibel],
  cosine: ["cosine", (x) => (x === null ? "–" : x.toFixed(5))], largest_error: ["largest error", small],
  largest_float: ["largest float", small], clipped: ["clipped", percent], used: ["used range", percent],
  float: ["float", (x) => (typeof x === "number" ? x.toFixed(4) : x)], integer: ["integers", (x) => (typeof x === "number" ? x.toFixed(4) : x)],
  change: ["change", (x) => (x > 0 ? "+" : "") + x.toFixed(4)],
};
const HELP = {
  loss: embedding ? "mean of 1 − cosine between the float embedding and the embedding with only this operation in integers" : "mean KL divergence of the next token, with only this operation in integers",
  share: "share of the sum over all operations", changed: "rows whose most likely token is another",
  alone_db: "signal to quantisation noise of this operation alone in integers: the error that it adds itself",
  accumulated_db: "signal to quantisation noise with everything before it in integers too",
  rounding_db: "signal to quantisation noise of the float value, rounded to these integers: the best that is possible at this scale",
  clipped: "float values beyond the largest integer", used: "share of the integers between the least and the largest one seen",
  largest_error: "largest absolute error, accumulated",
};

// A tip under the pointer.
const tip = document.getElementById("tip");
function tell(element, text) {
  const show = (event) => {
    tip.textContent = text; tip.hidden = false;
    const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const y = event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18;
    tip.style.left = `${Math.max(x, 8)}px`; tip.style.top = `${y}px`;
  };
  element.addEventListener("pointermove", show);
  element.addEventListener("pointerleave", () => { tip.hidden = true; });
  return element;
}

function group(name) {
  if (/logits|^output|normalized|pool/.test(name)) return "output";
  if (/norm/.test(name)) return "norm";
  if (/embedding/.test(name)) return "embedding";
  if (/self|cross|query|context|ssru/.test(name)) return "attention";
  if (/ffn/.test(name)) return "ffn";
  return "other";
}
const GROUPS = { embedding: "embedding", attention: "attention, recurrence", ffn: "hidden layer", norm: "norm", output: "output", other: "other" };

const records = (table) => table.rows.map((row) => Object.fromEntries(table.columns.map((name, i) => [name, row[i]])));
const main = document.getElementById("main"), contents = document.getElementById("contents");
function section(id, title, told, ...children) {
  contents.append(el("a", { href: `#${id}` }, title));
  const made = el("section", { id }, el("h2", {}, title), el("p", {}, told), ...children);
  main.append(made);
  return made;
}
const card = (title, note, ...children) =>
  el("div", { class: "card" }, ...(title ? [el("h3", {}, title, " ", el("small", {}, note || ""))] : []), ...children);

// A table that sorts by a click on a head, with a filter for long ones.
function sortable(table, textual = [], first = null, falling = true) {
  const rows = table.rows.slice(), heads = [], body = el("tbody");
  const draw = () => body.replaceChildren(...rows.map((row) => el("tr", {}, ...row.map((x, i) => {
    const name = table.columns[i], form = FORMS[name] ? FORMS[name][1] : plain;
    return el("td", textual.includes(name) ? { class: "text wide" } : typeof x === "string" ? { class: "text" } : {}, form(x));
  }))));
  const sort = (i, down) => {
    rows.sort((a, b) => {
      const [x, y] = [a[i], b[i]];
      if (x === null || y === null) return (x === null) - (y === null);
      const order = typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
      return down ? -order : order;
    });
    heads.forEach((head, at) => (at === i ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort")));
    draw();
  };
  table.columns.forEach((name, i) => {
    const button = el("button", { type: "button" }, FORMS[name] ? FORMS[name][0] : name.replaceAll("_", " "));
    const head = el("th", { scope: "col", class: typeof rows[0]?.[i] === "string" ? "text" : "" }, button);
    if (HELP[name]) tell(head, HELP[name]);
    button.addEventListener("click", () => sort(i, head.getAttribute("aria-sort") === "descending" ? false : typeof rows[0]?.[i] === "string" ? head.hasAttribute("aria-sort") : true));
    heads.push(head);
  });
  const made = el("div", { class: "table", tabindex: "0" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body));
  if (first === null) draw(); else sort(table.columns.indexOf(first), falling);
  if (rows.length < 15) return made;
  const filter = el("input", { type: "search", placeholder: "filter rows", "aria-label": "filter rows" });
  filter.addEventListener("input", () => {
    for (const row of body.children) row.hidden = !row.textContent.toLowerCase().includes(filter.value.toLowerCase());
  });
  return el("div", {}, el("div", { class: "tools" }, filter), made);
}

// A chart with lines or bars over x; y may be logarithmic.
const WIDE = 720;
function frame(height, left = 54, bottom = 34) {
  const svg = shape("svg", { viewBox: `0 0 ${WIDE} ${height}`, width: "100%", role: "img" });
  return { svg, left, right: WIDE - 10, top: 12, bottom: height - bottom };
}
function ticks(low, high, count = 5) {
  const step = 10 ** Math.floor(Math.log10((high - low) / count || 1));
  const nice = [1, 2, 5, 10].map((k) => k * step).find((s) => (high - low) / s <= count) || step * 10;
  const found = [];
  for (let y = Math.ceil(low / nice) * nice; y <= high + nice * 1e-9; y += nice) found.push(Number(y.toPrecision(12)));
  return found;
}
function axis(area, low, high, form, log = false) {
  const y = (v) => area.bottom - ((log ? Math.log10(v) : v) - low) / (high - low || 1) * (area.bottom - area.top);
  const marks = log ? Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, i) => 10 ** (Math.ceil(low) + i)) : ticks(low, high);
  for (const mark of marks) {
    area.svg.append(shape("line", { x1: area.left, x2: area.right, y1: y(mark), y2: y(mark), stroke: css("line") }));
    const label = shape("text", { x: area.left - 8, y: y(mark) + 4, "text-anchor": "end" });
    label.textContent = form(mark); area.svg.append(label);
  }
  return y;
}
function label(svg, x, y, text, more = {}) {
  const made = shape("text", { x, y, ...more });
  made.textContent = text; svg.append(made);
}

// Cards.
function tiles() {
  const w = data.whole, made = [];
  if (embedding) made.push([small(w.loss), "mean 1 − cosine between float and integer embedding"]);
  else made.push([small(w.loss), data.kind === "labels" ? "KL divergence of the labels, nats a text" : "KL divergence of the next token, nats"]);
  made.push([small(w.sum), "sum of the operations, each alone in integers"]);
  if (!embedding) made.push([percent(1 - w.changed), data.kind === "labels" ? "same label" : "same most likely token"]);
  if (w.same !== null) made.push([`${w.same} of ${w.texts}`, "translations are equal, token for token"]);
  made.push([w.rows.toLocaleString("en"), embedding || data.kind === "labels" ? "texts" : `tokens of ${w.texts} texts`]);
  const worst = records(data.tables.operations)[0];
  if (worst) made.push([percent(worst.share), `of the loss is ${worst.operation}`]);
  document.getElementById("cards").append(...made.map(([value, told]) => el("div", { class: "tile" }, el("b", {}, value), el("span", {}, told))));
}

// The operations: bars, and a map of layers.
function operations() {
  const all = records(data.tables.operations), most = all[0]?.loss || 1;
  const row = (one) => tell(el("div", { class: "bar" },
    el("span", {}, el("bdi", {}, one.operation)),
    el("div", {}, el("i", { style: `width:${Math.max(100 * one.loss / most, 0.4)}%;background:${css(group(one.operation))}` })),
    el("em", {}, small(one.loss))),
  `${one.operation}\n${one.instructions}\n${small(one.loss)} ${LOSS}, ${percent(one.share)} of the sum\nalone ${decibel(one.alone_db)} dB, accumulated ${decibel(one.accumulated_db)} dB`);
  const used = [...new Set(all.map((one) => group(one.operation)))];
  const legend = el("div", { class: "legend" }, ...used.map((g) => el("span", {}, el("i", { style: `background:${css(g)}` }), GROUPS[g])));
  const bars = card("Loss of each operation alone in integers", LOSS, legend, ...all.slice(0, 18).map(row));
  if (all.length > 18) bars.append(el("details", {}, el("summary", {}, `the other ${all.length - 18} operations`), ...all.slice(18).map(row)));
  section("operations", "Operations", "One operation at a time runs in integers, all others in floats. Errors that are small and independent add up, so the sum is near the loss of the whole integer model.",
    bars, layers(all), card("All operations", "click a head to sort", sortable(data.tables.operations)));
}
function layers(all) {
  const stacks = new Map();
  for (const one of all) {
    const found = /^(\w+)\.(\d+)\.(.+)$/.exec(one.operation);
    if (!found) continue;
    const [, stack, layer, part] = found;
    if (!stacks.has(stack)) stacks.set(stack, { parts: [], cells: new Map(), depth: 0 });
    const into = stacks.get(stack);
    if (!into.parts.includes(part)) into.parts.push(part);
    into.cells.set(`${layer} ${part}`, one); into.depth = Math.max(into.depth, Number(layer) + 1);
  }
  if (!stacks.size) return el("div");
  const most = Math.max(...all.map((one) => one.loss)) || 1, order = data.tables.values.rows.map((row) => row[0].replace(/\.wide$/, ""));
  const made = card("Map of the layers", "the darker, the larger the loss");
  for (const [stack, { parts, cells, depth }] of stacks) {
    parts.sort((a, b) => order.findIndex((n) => n.endsWith(`.${a}`)) - order.findIndex((n) => n.endsWith(`.${b}`)));
    const left = 170, height = 22, width = Math.min(70, (WIDE - left - 10) / depth), svg = shape("svg", { viewBox: `0 0 ${WIDE} ${parts.length * height + 26}`, width: "100%", role: "img" });
    label(svg, left - 8, 14, `${stack}, layer`, { "text-anchor": "end" });
    for (let d = 0; d < depth; d++) label(svg, left + (d + .5) * width, 14, d, { "text-anchor": "middle" });
    parts.forEach((part, p) => {
      label(svg, left - 8, 22 + p * height + 15, part, { "text-anchor": "end" });
      for (let d = 0; d < depth; d++) {
        const one = cells.get(`${d} ${part}`);
        if (!one) continue;
        svg.append(tell(shape("rect", { x: left + d * width + 1, y: 22 + p * height + 1, width: width - 2, height: height - 2, rx: 4, fill: `rgba(var(--heat), ${(0.05 + 0.95 * Math.sqrt(one.loss / most)).toFixed(3)})` }), `${one.operation}\n${small(one.loss)} ${LOSS}`));
      }
    });
    made.append(svg);
  }
  return made;
}

// The values: noise through the model, and the table.
function values() {
  const all = records(data.tables.values).filter((one) => one.bits < 32 && one.accumulated_db !== null);
  const area = frame(280), y0 = Math.min(...all.map((o) => Math.min(o.accumulated_db, o.alone_db ?? 99))), y1 = Math.max(...all.map((o) => Math.max(o.accumulated_db, Math.min(o.alone_db ?? 0, 75))));
  const y = axis(area, Math.floor(y0 / 10) * 10, Math.ceil(y1 / 10) * 10, (v) => v);
  const x = (i) => area.left + (i + .5) / all.length * (area.right - area.left);
  const points = all.map((one, i) => `${x(i).toFixed(1)},${y(one.accumulated_db).toFixed(1)}`).join(" ");
  area.svg.append(shape("polyline", { points, fill: "none", stroke: css("accent"), "stroke-width": 2, "stroke-linejoin": "round" }));
  all.forEach((one, i) => {
    const told = `${one.value}, ${one.bits} bits\naccumulated ${decibel(one.accumulated_db)} dB\nalone ${decibel(one.alone_db)} dB\nrounding ${decibel(one.rounding_db)} dB\nclipped ${percent(one.clipped)}`;
    if (one.alone_db !== null) area.svg.append(tell(shape("circle", { cx: x(i), cy: y(Math.min(one.alone_db, Math.ceil(y1 / 10) * 10)), r: 3.2, fill: css(group(one.value)), opacity: one.bits === 8 ? 1 : .45 }), told));
    area.svg.append(tell(shape("rect", { x: x(i) - 4, y: y(one.accumulated_db) - 6, width: 8, height: 12, fill: "transparent" }), told));
  });
  label(area.svg, area.left, area.bottom + 22, "first operation"); label(area.svg, area.right, area.bottom + 22, "last", { "text-anchor": "end" });
  section("values", "Values", "Signal to quantisation noise of every value, in decibels: 6 dB are one bit. Alone, an operation reads the float values rounded to its integers, and only its own error counts. Accumulated, everything before it is in integers too. Rounding is the float value itself on these integers: a value far below it loses in its operation, and a low rounding means a poor scale.",
    card("Noise through the model", "decibels; higher is better", el("div", { class: "legend" },
      el("span", {}, el("i", { style: `background:${css("accent")};height:3px;vertical-align:4px` }), "accumulated"),
      el("span", {}, el("i", { style: `background:${css("cool")};border-radius:50%` }), "dots: alone (pale: 16 bits)")), area.svg),
    card("All values", "click a head to sort", sortable(data.tables.values)));
}

// The loss by position and by length.
function binned(table, what, title) {
  const all = records(table), area = frame(220), high = Math.max(...all.map((o) => o.loss)) * 1.08 || 1;
  const y = axis(area, 0, high, small), width = (area.right - area.left) / all.length;
  all.forEach((one, i) => {
    const from = one[`${what}_from`], to = one[`${what}_to`], name = from === to ? `${from}` : `${from}–${to}`;
    area.svg.append(tell(shape("rect", { x: area.left + i * width + 1, y: y(one.loss), width: Math.max(width - 2, 1), height: area.bottom - y(one.loss), rx: 2, fill: css("cool"), opacity: one.rows < 5 ? .4 : 1 }), `${what} ${name}\nmean ${small(one.loss)}, largest ${small(one.largest)}\n${one.rows} ${what === "tokens" ? "texts" : "rows"}`));
    if (width > 34 || i % Math.ceil(34 / width) === 0) label(area.svg, area.left + (i + .5) * width, area.bottom + 16, name, { "text-anchor": "middle" });
  });
  label(area.svg, area.right, area.bottom + 31, what === "tokens" ? "tokens of the text" : "position", { "text-anchor": "end" });
  return card(title, LOSS, area.svg);
}
function places() {
  section("positions", "Positions and lengths", embedding ? "The error of the row of a token by its position, before the rows are pooled, and the loss of a text by its length. Pale bars stand for fewer than 5." : "The loss of the integer model by the position of the token, and the mean loss of a text by its length. Pale bars stand for fewer than 5.",
    el("div", {}, binned(data.tables.positions, "position", "By position"), binned(data.tables.lengths, "tokens", "By length")));
}

// Sentences.
function tokens(pieces, losses, most, first) {
  return el("span", {}, ...pieces.map((piece, i) => {
    const heat = losses && losses[i] !== undefined ? Math.sqrt(Math.min(losses[i] / most, 1)) * .75 : 0;
    const made = el("span", { class: `tok${i === first ? " first" : ""}`, style: heat > .02 ? `background:rgba(var(--heat), ${heat.toFixed(2)})` : "" }, piece.replaceAll("▁", " ").trim() || piece);
    return losses && losses[i] !== undefined ? tell(made, `${piece}\n${small(losses[i])} ${LOSS}`) : made;
  }));
}
function sentences() {
  const most = Math.max(...data.sentences.flatMap((one) => one.losses)) || 1;
  const line = (name, ...children) => el("div", { class: "row" }, el("span", {}, name), el("div", {}, ...children));
  const made = data.sentences.map((one) => {
    const rows = [el("header", {}, el("b", {}, small(one.loss)), `line ${one.line}`)];
    if (data.kind === "translation") {
      rows.push(el("p", { class: "from" }, one.text), line("float", tokens(one.float, one.losses, most, one.first)));
      rows.push(one.first === null ? line("integers", el("span", { class: "from" }, "the same text")) : line("integers", tokens(one.integer, null, 1, one.first)));
    } else if (data.kind === "language") {
      rows.push(line("text", tokens(one.float, one.losses, most, one.first)));
      if (one.choices) rows.push(line("there", el("span", {}, "the floats choose "), el("span", { class: "tok" }, one.choices[0]), " and the integers ", el("span", { class: "tok first" }, one.choices[1])));
    } else if (data.kind === "labels") rows.push(el("p", {}, one.text), line("float", one.labels[0]), line("integers", one.labels[1]));
    else rows.push(line("tokens", tokens(one.float, one.losses, most, null)));
    return el("div", { class: "sentence" }, ...rows);
  });
  const told = {
    translation: "The float model's translation, and the integer model's. The colour of a token is its loss when both models have read the float translation before it; a frame marks the first token that differs.",
    language: "The colour of a token is the loss of its prediction. A frame marks the first token at which both models would choose differently.",
    labels: "The texts whose labels lose most.", embedding: "The texts whose embeddings lose most; the colour of a token is the error of its row before pooling.",
  }[data.kind];
  const whole = section("sentences", "Sentences", told, card("", "", ...made.slice(0, 6)));
  if (made.length > 6) whole.append(el("details", { class: "card" }, el("summary", {}, `${made.length - 6} more`), ...made.slice(6)));
  if (data.tables.pairs) whole.append(card("Pairs whose cosine changes most", "", sortable(data.tables.pairs, ["first", "second"])));
}

// Histograms.
function histograms() {
  const cards = data.histograms.map((one) => {
    const svg = shape("svg", { viewBox: "0 0 300 120", width: "100%", role: "img" }), n = one.bins.length, most = Math.log10(Math.max(...one.bins) + 1) || 1;
    for (const edge of [n / 4, 3 * n / 4]) svg.append(shape("line", { x1: edge / n * 300, x2: edge / n * 300, y1: 0, y2: 102, stroke: css("accent"), "stroke-dasharray": "3 3" }));
    one.bins.forEach((count, i) => {
      if (!count) return;
      const height = Math.max(100 * Math.log10(count + 1) / most, 1), inside = i >= n / 4 && i < 3 * n / 4;
      svg.append(tell(shape("rect", { x: i / n * 300, y: 102 - height, width: 300 / n - .4, height, fill: css(inside ? "cool" : "accent") }), `${4 * i - 2 * n} to ${4 * i - 2 * n + 3}: ${count.toLocaleString("en")}`));
    });
    [[n / 4, "−128"], [n / 2, "0"], [3 * n / 4, "127"]].forEach(([at, text]) => label(svg, at / n * 300, 116, text, { "text-anchor": "middle" }));
    return card(one.value, `${decibel(one.alone_db)} dB alone, ${percent(one.clipped)} clipped`, svg);
  });
  section("histograms", "Histograms", "Where the floats lie on the integers, for the values in 8 bits whose own operation loses most. Heights are logarithmic. Numbers beyond the dashed lines are clipped; a hill that fills a small part of the range wastes bits.", el("div", { class: "grid" }, ...cards));
}

// Attention.
function attention() {
  const { heads, source, target, line } = data.attention;
  if (!heads.length) return;
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const map = (weights, rows, keys, names) => {
    const [height, width] = [rows.length, keys.length], left = 92, top = 70, size = Math.max(9, Math.min(22, 340 / Math.max(width, height)));
    const svg = shape("svg", { viewBox: `0 0 ${left + width * size + 4} ${top + height * size + 4}`, width: "100%", role: "img", style: `max-width:${(left + width * size) * 1.25}px` });
    const cut = (text) => { const clean = text.replaceAll("▁", " ").trim() || text; return clean.length > 11 ? `${clean.slice(0, 10)}…` : clean; };
    keys.forEach((key, k) => label(svg, left + (k + .7) * size, top - 6, cut(key), { transform: `rotate(-55 ${left + (k + .7) * size} ${top - 6})` }));
    rows.forEach((row, r) => label(svg, left - 6, top + (r + .72) * size, cut(row), { "text-anchor": "end" }));
    svg.append(shape("rect", { x: left, y: top, width: width * size, height: height * size, fill: "none", stroke: css("line") }));
    for (let r = 0; r < height; r++) for (let k = 0; k < width; k++) {
      const w = weights[r * width + k] / 255;
      if (w < .004) continue;
      svg.append(tell(shape("rect", { x: left + k * size, y: top + r * size, width: size - .6, height: size - .6, fill: `rgba(var(--heat), ${w.toFixed(3)})` }), `${rows[r]} → ${keys[k]}\n${names}: ${percent(w)}`));
    }
    return svg;
  };
  const place = el("div"), choose = el("select", { "aria-label": "head of attention" }, ...heads.map((h, i) => el("option", { value: i }, `${h.attention}, head ${h.head}: ${percent(h.distance)} moved`)));
  const draw = () => {
    const h = heads[choose.value || 0], rows = h.rows === "source" ? source : target, keys = h.keys === "source" ? source : target;
    place.replaceChildren(el("div", { class: "maps" }, ...[["float", h.float], ["integer", h.integer]].map(([name, text]) =>
      el("figure", {}, el("figcaption", {}, name === "float" ? "float" : "integers"), el("div", { class: "scroll" }, map(bytes(text), rows, keys, name))))));
  };
  choose.addEventListener("change", draw); draw();
  section("attention", "Attention", `The weights of attention on line ${line}, of the heads in which most weight moves to another key. A row is a token, a column is a key that it sees.`, el("div", { class: "card" }, el("div", { class: "tools" }, choose), place));
}

document.getElementById("title").textContent = data.title;
tiles(); operations(); values(); places(); sentences(); histograms(); attention();
document.getElementById("facts").append(...data.facts.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
document.documentElement.dataset.drawn = "yes";
