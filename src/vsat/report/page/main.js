// Puts the page together and gives the keys to what is in front.

const player = new Player();
const pairs = pairsToShow();
const files = new FileList(player, pairs);
const overview = document.getElementById("overview");
let blindTest = null;
let distributions = renderDistributions(pairs[0], (index) => files.show(index));

renderMasthead();
overview.append(...renderVerdicts(), renderMeans(), distributions, files.node);

files.onPair = (pair) => {
  const renewed = renderDistributions(pair, (index) => files.show(index));
  distributions.replaceWith(renewed);
  distributions = renewed;
};

files.onBlind = (pair) => {
  files.close({ focus: false });
  const goesOn = blindTest && blindTest.pair === pair && !blindTest.revealed;
  blindTest = goesOn ? blindTest : new BlindTest(player, pair, leaveBlind);
  setMode("blind");
  blindTest.show(Math.max(0, blindTest.choices.indexOf(undefined)));
};

function leaveBlind() {
  setMode("open");
  document.getElementById("begin-blind").focus();
}

function setMode(mode) {
  document.body.dataset.mode = mode;
  overview.hidden = mode === "blind";
  document.getElementById("masthead").hidden = mode === "blind";
  document.getElementById("blind").hidden = mode !== "blind";
}

const KEYS = [
  ["Space", "play or pause"],
  ["← →", "back or on by a second; with Shift by five"],
  ["1 … 9", "listen to the mixture, the reference, or a version, at the same instant"],
  ["v", "the next voice"],
  ["j k", "the next or the former recording"],
  ["Esc", "close the recording, or leave the blind comparison"],
  ["a b n", "blind: A is better, B is better, no difference"],
  ["f", "blind: finish and reveal"],
  ["?", "these keys"],
];

function showHelp() {
  const help = document.getElementById("help");
  help.replaceChildren(
    element("h2", { id: "help-title" }, "Keys"),
    element("dl", { class: "keys" }, KEYS.map(([keys, text]) =>
      element("div", {}, element("dt", {}, keys.split(" ").map((key) => (key === "…" ? " … " : keyCap(key)))), element("dd", {}, text)))),
    element("form", { method: "dialog" }, element("button", { class: "primary", autofocus: true, onclick: (event) => { event.preventDefault(); help.close(); } }, "Close")));
  help.showModal();
}

function inBlind() {
  return document.body.dataset.mode === "blind";
}

function stageInFront() {
  return inBlind() ? blindTest.stage : files.open?.stage;
}

function seekBy(seconds) {
  player.seek(player.position + seconds);
}

const COMMANDS = {
  " ": () => stageInFront() && player.toggle(),
  ArrowLeft: (event) => stageInFront() && seekBy(event.shiftKey ? -5 : -1),
  ArrowRight: (event) => stageInFront() && seekBy(event.shiftKey ? 5 : 1),
  v: () => stageInFront()?.nextVoice(),
  j: () => (inBlind() ? blindTest : files).step(1),
  k: () => (inBlind() ? blindTest : files).step(-1),
  a: () => inBlind() && blindTest.stage && blindTest.choose("A"),
  b: () => inBlind() && blindTest.stage && blindTest.choose("B"),
  n: () => inBlind() && blindTest.stage && blindTest.choose(null),
  f: () => inBlind() && blindTest.reveal(),
  Escape: () => (inBlind() ? blindTest.leave() : files.close()),
  "?": () => showHelp(),
};

/** Whether the focused control has a use of its own for a key. */
function belongsToControl(event) {
  const target = event.target;
  if (target.closest("textarea, select")) return event.key !== "Escape";
  if (target.closest("input")) return event.key.startsWith("Arrow");
  return event.key === " " && target.closest("button, a") !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById("help").open) return;
  if (belongsToControl(event)) return;
  const digit = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : null;
  const command = digit === null ? COMMANDS[event.key] : () => stageInFront()?.choose(digit);
  if (!command) return;
  event.preventDefault();
  command(event);
});

window.addEventListener("beforeunload", (event) => {
  if (blindTest && !blindTest.saved) event.preventDefault();
});

window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => stageInFront()?.draw());
