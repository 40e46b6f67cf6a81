// Means, shares and differences of what the page shows.

const Z_95 = 1.959963984540054;

function mean(values) {
  const present = values.filter((value) => value !== null);
  return present.length ? present.reduce((sum, value) => sum + value, 0) / present.length : null;
}

/** Scores of one version in one measure, a value or null for each file. */
function scoresOf(version, measureIndex) {
  const versionIndex = report.versions.indexOf(version);
  return report.files.map((file) => file.scores[versionIndex][measureIndex] ?? null);
}

/** Candidate less baseline, file by file; null where one of them is missing. */
function differencesOf(pair, measureIndex) {
  const baseline = scoresOf(pair.baseline, measureIndex);
  const candidate = scoresOf(pair.candidate, measureIndex);
  return candidate.map((value, index) =>
    value === null || baseline[index] === null ? null : value - baseline[index]);
}

/** The 95 % interval of a share (Wilson 1927). */
function wilsonInterval(wins, n) {
  if (n === 0) return [0, 1];
  const share = wins / n;
  const squared = Z_95 ** 2;
  const centre = (share + squared / (2 * n)) / (1 + squared / n);
  const half = (Z_95 / (1 + squared / n))
    * Math.sqrt((share * (1 - share)) / n + squared / (4 * n * n));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}

/** Round marks of an axis, about `count` of them. */
function marksBetween(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const marks = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index += 1) {
    marks.push(index * step);
  }
  return { marks, decimals: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}
