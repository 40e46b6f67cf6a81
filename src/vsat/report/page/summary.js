// The upper part of the page: what was compared, the verdicts, the means, the distributions.

const VERDICT_MARKS = { better: "▲", worse: "▼", "can't tell": "≈" };
const VERDICT_SIDES = { better: "good", worse: "bad", "can't tell": "open" };

/** Pairs that can be looked at: the comparisons, or else the first two versions. */
function pairsToShow() {
  if (report.comparisons.length || report.versions.length < 2) return report.comparisons;
  const [baseline, candidate] = report.versions;
  return [{ baseline, candidate, measure: report.measures[0]?.key, differences: [] }];
}

function renderMasthead() {
  const heard = report.files.filter((file) => file.block).length;
  const facts = [
    ["Test set", report.testSet],
    ["Recordings", heard === report.files.length ? String(heard) : `${report.files.length}, ${heard} with audio`],
    ...report.facts,
  ];
  document.getElementById("masthead").append(
    element("p", { class: "eyebrow" }, "vsat · comparison on recordings"),
    element("h1", {}, visible(report.title)),
    element("dl", { class: "facts" }, facts.map(([name, value]) =>
      element("div", {}, element("dt", {}, visible(name)), element("dd", {}, element("bdi", {}, visible(value)))))));
}

function renderVerdicts() {
  return report.comparisons.map((one) => element("section", { class: `card verdict ${VERDICT_SIDES[one.verdict]}` },
    element("div", { class: "verdict-head" },
      element("span", { class: "badge" },
        element("span", { "aria-hidden": "true" }, `${VERDICT_MARKS[one.verdict]} `), one.verdict),
      element("p", { class: "pair" }, swatch(one.candidate), nameOf(one.candidate),
        element("span", { class: "faint" }, " against "), swatch(one.baseline), nameOf(one.baseline))),
    element("p", { class: "verdict-text" }, visible(one.text)),
    differenceTable(one)));
}

function differenceTable(pair) {
  const rows = report.measures.flatMap((measure) => {
    const found = differenceIn(pair, measure.key);
    return found && found.mean !== null ? [differenceRow(measure, found, measure.key === pair.measure)] : [];
  });
  if (!rows.length) return null;
  const heads = ["Measure", "Difference", "95 % interval", "", "Wins", "Files"];
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Differences" },
    element("table", { class: "differences" },
      element("caption", { class: "unseen" }, "Mean differences, candidate less baseline"),
      element("thead", {}, element("tr", {}, heads.map((head, index) =>
        element(head ? "th" : "td", head ? { scope: "col", class: index && "number" } : {}, head)))),
      element("tbody", {}, rows)));
}

function differenceRow(measure, found, decides) {
  const interval = found.low === null ? "–"
    : `${formatted(measure, found.low, { signed: true })} to ${formatted(measure, found.high, { signed: true })}`;
  return element("tr", { class: decides && "decides" },
    element("th", { scope: "row" }, visible(measure.name), " ", estimatedBadge(measure),
      decides ? element("span", { class: "faint" }, " decides") : null),
    element("td", { class: "number strong" }, formatted(measure, found.mean, { signed: true }),
      element("span", { class: "unit" }, measure.unit ? ` ${measure.unit}` : "")),
    element("td", { class: "number" }, interval),
    element("td", { class: "glyph-cell" }, found.low === null ? null : intervalGlyph(found, measure)),
    element("td", { class: "number" }, found.winRate === null ? "–" : percent(found.winRate)),
    element("td", { class: "number" }, String(found.nFiles)));
}

function renderMeans() {
  const means = report.versions.map((version) =>
    report.measures.map((_, index) => mean(scoresOf(version, index))));
  const best = report.measures.map((measure, column) => bestRow(measure, means.map((row) => row[column])));
  return section("Means", "Over all files that have a value. The best of each column is marked.",
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Means" },
      element("table", { class: "means" },
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Version"),
          report.measures.map((measure) => element("th", { scope: "col", class: "number" },
            element("span", {}, visible(measure.name), element("span", { class: "unit" }, measure.unit ? ` ${measure.unit}` : "")),
            estimatedBadge(measure))))),
        element("tbody", {}, report.versions.map((version, row) => element("tr", {},
          element("th", { scope: "row" }, swatch(version), nameOf(version)),
          report.measures.map((measure, column) => element("td", { class: `number${best[column] === row ? " best" : ""}` },
            formatted(measure, means[row][column]),
            best[column] === row ? element("span", { class: "unseen" }, " best") : null))))))));
}

/** The row with the best mean; none where there is nothing to compare, or no difference. */
function bestRow(measure, column) {
  const present = column.filter((value) => value !== null);
  const best = measure.higherIsBetter ? Math.max(...present) : Math.min(...present);
  if (present.length < 2 || present.every((value) => value === best)) return -1;
  return column.indexOf(best);
}

function renderDistributions(pair, onFile) {
  const cards = report.measures.map((measure, index) => element("figure", { class: "card distribution" },
    element("figcaption", {}, withUnitAndBadge(measure)),
    stripPlot(index, onFile),
    pair ? element("p", { class: "plot-title" }, "Differences ",
      element("span", { class: "faint" }, swatch(pair.candidate), " less ", swatch(pair.baseline),
        differenceIn(pair, measure.key) ? " · band: 95 % interval" : "")) : null,
    pair ? differencePlot(pair, index, onFile) : null));
  return section("Distributions", "A dot is a recording, a bar the mean. Click a dot to open its recording.",
    element("div", { class: "legend" }, report.versions.map((version) =>
      element("span", {}, swatch(version), nameOf(version)))),
    element("div", { class: "distributions" }, cards));
}

function withUnitAndBadge(measure) {
  return [element("strong", {}, visible(measure.name)),
    element("span", { class: "unit" }, measure.unit ? ` ${measure.unit}` : ""), " ", estimatedBadge(measure)];
}

function section(title, lead, ...content) {
  const id = title.toLowerCase().replace(/\W+/g, "-");
  return element("section", { "aria-labelledby": `${id}-title` },
    element("h2", { id: `${id}-title` }, title), element("p", { class: "lead" }, lead), ...content);
}
