// Distribution plots: a dot for each file, in rows under one axis.

const PLOT = { width: 340, left: 10, right: 10, row: 34, axis: 26 };

/** A scale from values to pixels that holds all values, with some room at either end. */
function scaleFor(values, { around = null } = {}) {
  const held = around === null ? values : [...values, around];
  let low = Math.min(...held);
  let high = Math.max(...held);
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  low -= room;
  high += room;
  const width = PLOT.width - PLOT.left - PLOT.right;
  return { low, high, at: (value) => PLOT.left + ((value - low) / (high - low)) * width };
}

/** All versions in one measure, a row each: dots, and a bar at the mean. */
function stripPlot(measureIndex, onFile) {
  const measure = report.measures[measureIndex];
  const rows = report.versions.map((version) => ({ version, values: scoresOf(version, measureIndex) }));
  const present = rows.flatMap((row) => row.values).filter((value) => value !== null);
  if (!present.length) return element("p", { class: "faint" }, "No value.");
  const scale = scaleFor(present);
  const height = PLOT.row * rows.length + PLOT.axis;
  const said = rows.map((row) => `${row.version}: mean ${formatted(measure, mean(row.values))}`);
  const plot = canvasOf(height, `${withUnit(measure)} of each file. ${said.join("; ")}.`);
  plot.append(axisOf(scale, height - PLOT.axis));
  rows.forEach((row, index) => {
    const middle = PLOT.row * (index + 0.5);
    const group = drawing("g", { class: `hue-${hueOf(row.version)}` });
    group.append(...dotsOf(row.values, scale, middle, measure, onFile), meanMark(row.values, scale, middle));
    plot.append(group);
  });
  return plot;
}

/** Paired differences in one measure: dots about zero, the interval of their mean as a band. */
function differencePlot(pair, measureIndex, onFile) {
  const measure = report.measures[measureIndex];
  const values = differencesOf(pair, measureIndex);
  const present = values.filter((value) => value !== null);
  if (!present.length) return element("p", { class: "faint" }, "No file has both.");
  const found = differenceIn(pair, measure.key);
  const ends = found && found.low !== null ? [found.low, found.high] : [];
  const scale = scaleFor([...present, ...ends], { around: 0 });
  const height = PLOT.row + PLOT.axis;
  const middle = PLOT.row / 2;
  const plot = canvasOf(height, `Differences in ${withUnit(measure)}, file by file; mean ${formatted(measure, mean(values), { signed: true })}.`);
  plot.append(axisOf(scale, PLOT.row), zeroLine(scale, PLOT.row));
  if (ends.length) {
    plot.append(drawing("rect", {
      class: "interval", x: scale.at(found.low), y: 3, rx: 3,
      width: Math.max(2, scale.at(found.high) - scale.at(found.low)), height: PLOT.row - 6,
    }));
  }
  const group = drawing("g", { class: "paired" });
  group.append(...dotsOf(values, scale, middle, measure, onFile, true), meanMark(values, scale, middle));
  plot.append(group);
  return plot;
}

/** A small bar of a difference and its interval about zero, for a line of a table. */
function intervalGlyph(difference, measure) {
  const reach = Math.max(Math.abs(difference.low), Math.abs(difference.high), 1e-9) * 1.1;
  const at = (value) => 80 + (value / reach) * 76;
  const better = measure.higherIsBetter ? difference.mean > 0 : difference.mean < 0;
  const sure = difference.low > 0 || difference.high < 0;
  const side = sure ? (better ? "good" : "bad") : "open";
  return drawing("svg", { class: `glyph ${side}`, viewBox: "0 0 160 18", "aria-hidden": "true" },
    drawing("line", { class: "zero", x1: 80, x2: 80, y1: 1, y2: 17 }),
    drawing("line", { class: "reach", x1: at(difference.low), x2: at(difference.high), y1: 9, y2: 9 }),
    drawing("circle", { class: "middle", cx: at(difference.mean), cy: 9, r: 4 }));
}

function canvasOf(height, label) {
  return drawing("svg", {
    class: "plot", viewBox: `0 0 ${PLOT.width} ${height}`, role: "img", "aria-label": visible(label),
  });
}

function axisOf(scale, bottom) {
  const { marks, decimals } = marksBetween(scale.low, scale.high, 5);
  const group = drawing("g", { class: "axis" });
  for (const mark of marks) {
    const x = scale.at(mark);
    const text = mark.toFixed(decimals).replace("-", MINUS);
    group.append(
      drawing("line", { x1: x, x2: x, y1: 0, y2: bottom }),
      drawing("text", { x, y: bottom + 17 }, Number(mark.toFixed(decimals)) === 0 ? (0).toFixed(decimals) : text));
  }
  return group;
}

function zeroLine(scale, bottom) {
  const x = scale.at(0);
  return drawing("line", { class: "zero", x1: x, x2: x, y1: 0, y2: bottom });
}

/** Dots that lie apart where values are close: the shift follows from the file's place alone. */
function dotsOf(values, scale, middle, measure, onFile, signed = false) {
  const spread = Math.min(9, 2 + values.length / 4);
  return values.flatMap((value, index) => {
    if (value === null) return [];
    const shift = (((index * 0.618034) % 1) - 0.5) * 2 * spread;
    const text = `${visible(report.files[index].name)}: ${formatted(measure, value, { signed })} ${measure.unit}`;
    return drawing("circle", { class: "dot", cx: scale.at(value), cy: middle + shift, r: 4, onclick: () => onFile(index) },
      drawing("title", {}, text));
  });
}

function meanMark(values, scale, middle) {
  const centre = mean(values);
  if (centre === null) return "";
  const x = scale.at(centre);
  return drawing("line", { class: "mean", x1: x, x2: x, y1: middle - 14, y2: middle + 14 });
}

function differenceIn(pair, key) {
  return (pair.differences || []).find((one) => one.measure === key) || null;
}
