"use strict";
// What the page holds packed, and how text and numbers become safe HTML. Nothing from data reaches HTML but by escape().
const MINUS = "−", ABSENT = "—";
const $ = id => document.getElementById(id);

async function unpack(id) {
  const bytes = Uint8Array.from(atob($(id).textContent), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

const ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"};
const escape = text => String(text ?? "").replace(/[&<>"']/g, letter => ENTITIES[letter]);

const number = (value, digits = 3) => value == null ? ABSENT : value.toFixed(digits).replace("-", MINUS);
const signed = (value, digits = 3) => {
  if (value == null) return ABSENT;
  const text = number(value, digits);
  return Number(value.toFixed(digits)) > 0 ? `+${text}` : text.replace(/^−(0\.0*)$/, "$1");
};
const count = value => value == null ? ABSENT : value >= 1e6 ? `${(value / 1e6).toFixed(1)} M` : Math.round(value).toLocaleString("en");
const pValue = value => value == null ? ABSENT : value < 0.001 ? "<0.001"
  : [3, 4, 5].map(digits => value.toFixed(digits)).find(text => (text < 0.05) === (value < 0.05)) ?? String(value);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) made.setAttribute(name, value === true ? "" : value);
  made.append(...children);
  return made;
}

function choice(place, label, options, chosen, changed) {
  const select = element("select", {onchange: () => changed(select.value)},
    ...options.map(([value, text]) => new Option(text, value, false, String(value) === String(chosen))));
  place.append(element("label", {}, `${label} `, select));
  return select;
}
