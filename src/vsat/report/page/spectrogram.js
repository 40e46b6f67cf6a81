// Spectrograms: power on the mel scale in dB, drawn when a recording is opened.

const SPECTROGRAM = { columns: 1000, rows: 96, window_s: 0.032, topHz: 8000, rangeDb: 70 };
const DARK_RAMP = [
  [0, 13, 15, 22], [0.22, 30, 28, 74], [0.42, 93, 38, 124], [0.6, 183, 54, 111],
  [0.77, 241, 105, 84], [0.9, 253, 183, 110], [1, 255, 250, 212],
];
const LIGHT_RAMP = [
  [0, 250, 249, 246], [0.22, 233, 226, 226], [0.42, 216, 178, 190], [0.6, 190, 102, 137],
  [0.77, 133, 46, 116], [0.9, 68, 25, 84], [1, 22, 12, 40],
];

/** Cosines and sines of half a turn, in steps of a turn's n-th part. */
function rotationsOf(n) {
  const angles = Float64Array.from({ length: n / 2 }, (_, k) => (-2 * Math.PI * k) / n);
  return { cosines: angles.map(Math.cos), sines: angles.map(Math.sin) };
}

/** In-place Fourier transform of radix two: Cooley and Tukey 1965. */
function transform(real, imaginary, { cosines, sines }) {
  const n = real.length;
  for (let i = 1, j = 0; i < n; i += 1) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k += 1) {
      const c = cosines[(k * n) / size];
      const s = sines[(k * n) / size];
      for (let i = k; i < n; i += size) {
        const j = i + half;
        const re = real[j] * c - imaginary[j] * s;
        const im = real[j] * s + imaginary[j] * c;
        real[j] = real[i] - re;
        imaginary[j] = imaginary[i] - im;
        real[i] += re;
        imaginary[i] += im;
      }
    }
  }
}

/** Power at each row and column, lowest frequency first: rows × columns. */
function spectrogramOf(samples, rate) {
  const { columns, rows } = SPECTROGRAM;
  const size = 2 ** Math.round(Math.log2(SPECTROGRAM.window_s * rate));
  const taper = Float64Array.from({ length: size }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size));
  const edges = melEdges(rate, size);
  const rotations = rotationsOf(size);
  const power = new Float32Array(rows * columns);
  const real = new Float64Array(size);
  const imaginary = new Float64Array(size);
  for (let column = 0; column < columns; column += 1) {
    const begin = Math.round(((column + 0.5) / columns) * samples.length - size / 2);
    for (let i = 0; i < size; i += 1) real[i] = (samples[begin + i] || 0) * taper[i];
    imaginary.fill(0);
    transform(real, imaginary, rotations);
    for (let row = 0; row < rows; row += 1) {
      power[row * columns + column] = bandPower(real, imaginary, edges[row], edges[row + 1]) / (size * size);
    }
  }
  return power;
}

/** Bins, not whole ones, between which each row lies. */
function melEdges(rate, size) {
  const top = Math.log1p(Math.min(SPECTROGRAM.topHz, rate / 2) / 700);
  return Float64Array.from({ length: SPECTROGRAM.rows + 1 },
    (_, row) => (700 * Math.expm1((row / SPECTROGRAM.rows) * top) * size) / rate);
}

/** Mean power of the bins of a row; between two bins, where a row has none of its own. */
function bandPower(real, imaginary, low, high) {
  const at = (bin) => real[bin] ** 2 + imaginary[bin] ** 2;
  const first = Math.ceil(low);
  if (first >= high) {
    const bin = Math.floor((low + high) / 2);
    const part = (low + high) / 2 - bin;
    return at(bin) * (1 - part) + at(bin + 1) * part;
  }
  let sum = 0;
  for (let bin = first; bin < high; bin += 1) sum += at(bin);
  return sum / (Math.ceil(high) - first);
}

/** The power that is drawn strongest: of the mixture, but for a few clicks. */
function strongest(power) {
  const sorted = Float32Array.from(power).sort();
  return Math.max(sorted[Math.floor(0.9995 * (sorted.length - 1))], 1e-12);
}

function drawSpectrogram(canvas, power, reference) {
  const { columns, rows } = SPECTROGRAM;
  const ramp = rampColours(prefersDark() ? DARK_RAMP : LIGHT_RAMP);
  const image = new ImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const db = 10 * Math.log10(Math.max(power[row * columns + column] / reference, 1e-12));
      const level = Math.min(1, Math.max(0, 1 + db / SPECTROGRAM.rangeDb));
      pixels[(rows - 1 - row) * columns + column] = ramp[Math.round(level * 255)];
    }
  }
  canvas.width = columns;
  canvas.height = rows;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function rampColours(anchors) {
  return Uint32Array.from({ length: 256 }, (_, index) => {
    const level = index / 255;
    const above = Math.max(1, anchors.findIndex((anchor) => anchor[0] >= level));
    const [low, high] = [anchors[above - 1], anchors[above]];
    const part = (level - low[0]) / (high[0] - low[0]);
    const [r, g, b] = [1, 2, 3].map((i) => Math.round(low[i] + part * (high[i] - low[i])));
    return (255 << 24) | (b << 16) | (g << 8) | r;
  });
}

function prefersDark() {
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}
