// Building the page. Every text goes in as a text node: no name can become markup.

const report = JSON.parse(document.getElementById("report").textContent);
const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function drawing(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** A name as it can be seen: control and direction characters must not rearrange the page. */
function visible(name) {
  return name.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "\u{FFFD}");
}

/** A name in parts: where it is too long for its place, it breaks at a joint. */
function breakable(name) {
  const parts = visible(name).split(/(?<=[_./ -])|(?=@)/);
  return element("bdi", {}, parts.flatMap((part, index) => (index ? [element("wbr"), part] : [part])));
}

function nameOf(version) {
  return element("span", { class: "version-name" }, breakable(version));
}

/** The mark that stands for a version in tables, plots and lanes. */
function swatch(version) {
  return element("span", { class: `swatch hue-${hueOf(version)}`, "aria-hidden": "true" });
}

function hueOf(version) {
  return report.versions.indexOf(version) % 6;
}

function keyCap(text) {
  return element("kbd", {}, text);
}

function estimatedBadge(measure) {
  return measure.estimated ? element("span", { class: "estimated" }, "estimated") : null;
}

function measureName(measure) {
  return `${visible(measure.name)}${measure.estimated ? " (estimated)" : ""}`;
}

function withUnit(measure) {
  return measure.unit ? `${measureName(measure)}, ${measure.unit}` : measureName(measure);
}

const MINUS = "\u2212";

function formatted(measure, value, { signed = false } = {}) {
  if (value === null || value === undefined) return "–";
  const digits = Math.abs(value).toFixed(measure.decimals);
  const isZero = Number(digits) === 0;
  const sign = value < 0 && !isZero ? MINUS : signed && !isZero ? "+" : "";
  return `${sign}${digits}`;
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

function clock(seconds) {
  const tenths = Math.max(0, Math.round(seconds * 10));
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths - minutes * 600) / 10).toFixed(1).padStart(4, "0")}`;
}

function announce(text) {
  document.getElementById("announcer").textContent = text;
}
