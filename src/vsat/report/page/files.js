// The list of recordings: sorted by any column, and each opens to a stage.

class FileList {
  constructor(player, pairs) {
    this.player = player;
    this.pairs = pairs;
    this.pair = 0;
    this.measure = 0;
    this.sort = { column: pairs.length ? "difference" : "name", descending: false };
    this.open = null;
    this.body = element("tbody");
    this.head = element("tr");
    this.node = section("Recordings", "Open one to see and hear it. Sort by any column.",
      this.toolbar(),
      element("div", { class: "scroll files-scroll" }, element("table", { class: "files" },
        element("caption", { class: "unseen" }, "Recordings with their scores"),
        element("thead", {}, this.head), this.body)));
    this.node.id = "files";
    this.rows = report.files.map((file, index) => this.row(file, index));
    this.render();
  }

  toolbar() {
    const measures = report.measures.map((measure, index) =>
      element("option", { value: String(index) }, withUnit(measure)));
    const choosePair = this.pairs.length < 2 ? null : element("label", {}, "Difference ",
      element("select", { onchange: (event) => this.choosePair(Number(event.target.value)) },
        this.pairs.map((pair, index) => element("option", { value: String(index) },
          visible(`${pair.candidate} less ${pair.baseline}`)))));
    return element("div", { class: "toolbar" },
      element("label", {}, "Measure ",
        element("select", { id: "measure", onchange: (event) => this.chooseMeasure(Number(event.target.value)) }, measures)),
      choosePair,
      this.pairs.length && report.files.some((file) => file.block)
        ? element("button", { type: "button", class: "primary", id: "begin-blind", onclick: () => this.onBlind(this.pairs[this.pair]) }, "Listen blind")
        : null,
      element("button", { type: "button", class: "quiet", onclick: () => showHelp() }, "Keys ", keyCap("?")));
  }

  chooseMeasure(index) {
    this.measure = index;
    this.render();
  }

  choosePair(index) {
    this.pair = index;
    this.render();
    this.onPair?.(this.pairs[index]);
  }

  columns() {
    const length = { key: "seconds", label: "Length", values: report.files.map((file) => file.seconds ?? null) };
    const versions = report.versions.map((version) =>
      ({ key: `version ${version}`, version, values: scoresOf(version, this.measure) }));
    const pair = this.pairs[this.pair];
    const difference = pair
      ? [{ key: "difference", label: "Difference", values: differencesOf(pair, this.measure) }] : [];
    return [{ key: "name", label: "Recording", values: report.files.map((file) => file.name) },
      length, ...versions, ...difference];
  }

  /** Indices of the files in the order shown; what has no value comes last. */
  order() {
    const columns = this.columns();
    const { values } = columns.find((one) => one.key === this.sort.column) || columns[0];
    const sign = this.sort.descending ? -1 : 1;
    return report.files.map((_, index) => index).sort((a, b) => {
      if (values[a] === null || values[b] === null) return (values[a] === null) - (values[b] === null) || a - b;
      const order = typeof values[a] === "string"
        ? values[a].localeCompare(values[b], undefined, { numeric: true }) : values[a] - values[b];
      return sign * order || a - b;
    });
  }

  sortBy(column) {
    const same = this.sort.column === column;
    this.sort = { column, descending: same ? !this.sort.descending : column !== "name" };
    this.render();
    announce(`Sorted by ${column}, ${this.sort.descending ? "highest" : "lowest"} first.`);
  }

  row(file, index) {
    const toggle = element("button", {
      type: "button", class: "toggle", disabled: !file.block, "aria-expanded": "false",
      onclick: () => (this.open?.index === index ? this.close() : this.show(index)),
    }, breakable(file.name));
    const main = element("tr", { class: "file", "data-file": String(index) });
    return { main, toggle, detail: null };
  }

  render() {
    const columns = this.columns();
    const reach = Math.max(1e-9, ...columns.filter((one) => one.key === "difference")
      .flatMap((one) => one.values.map((value) => Math.abs(value ?? 0))));
    this.renderHead(columns);
    this.rows.forEach((row, index) => {
      const cells = columns.slice(1).map((column) => this.cell(column, column.values[index], reach));
      row.main.replaceChildren(element("th", { scope: "row" }, row.toggle), ...cells);
    });
    const shown = this.order().flatMap((index) => [this.rows[index].main, this.rows[index].detail]);
    const focused = document.activeElement;
    this.body.replaceChildren(...shown.filter(Boolean));
    if (focused && this.body.contains(focused)) focused.focus({ preventScroll: true });
  }

  /** Heads are made once for each set of columns, so that the one that was pressed keeps the focus. */
  renderHead(columns) {
    if (this.head.childElementCount !== columns.length) {
      this.head.replaceChildren(...columns.map((column) => element("th", { scope: "col", class: column.key === "name" ? null : `number${column.key === "seconds" ? " length" : ""}` },
        element("button", { type: "button", class: "sort", onclick: () => this.sortBy(column.key) },
          column.version === undefined ? column.label : [swatch(column.version), nameOf(column.version)]))));
    }
    columns.forEach((column, index) => {
      const sorted = column.key === this.sort.column;
      const way = this.sort.descending ? "descending" : "ascending";
      this.head.children[index].setAttribute("aria-sort", sorted ? way : "none");
    });
  }

  cell(column, value, reach) {
    if (column.key === "seconds") return element("td", { class: "number faint length" }, value === null ? "–" : clock(value));
    const measure = report.measures[this.measure];
    const signed = column.key === "difference";
    const cell = element("td", { class: "number" }, measure ? formatted(measure, value, { signed }) : "–");
    if (signed && value !== null) cell.append(differenceBar(measure, value, reach));
    return cell;
  }

  async show(index, { focus = true } = {}) {
    this.close({ focus: false });
    const file = report.files[index];
    const row = this.rows[index];
    if (!file.block) return;
    const holder = element("div", { class: "holder" });
    row.detail = element("tr", { class: "detail" },
      element("td", { colspan: String(this.columns().length) }, holder));
    row.main.classList.add("opened");
    row.toggle.setAttribute("aria-expanded", "true");
    const opened = { index, stage: null };
    this.open = opened;
    row.main.after(row.detail);
    try {
      const recording = await openRecording(file);
      if (this.open !== opened) return;
      opened.stage = new Stage(this.player, recording, openSignals(), file.name);
      holder.append(opened.stage.node, excerptNote(recording));
      if (focus) opened.stage.node.focus({ preventScroll: true });
      row.main.scrollIntoView({ block: "start", behavior: calmly() });
      await opened.stage.draw();
    } catch (error) {
      holder.append(decodingFailure(error));
    }
  }

  close({ focus = true } = {}) {
    if (!this.open) return;
    const row = this.rows[this.open.index];
    this.open.stage?.close();
    row.detail?.remove();
    row.detail = null;
    row.main.classList.remove("opened");
    row.toggle.setAttribute("aria-expanded", "false");
    this.open = null;
    if (focus) row.toggle.focus();
  }

  /** Open the file after (1) or before (-1) the open one, in the order shown. */
  step(by) {
    const order = this.order().filter((index) => report.files[index].block);
    const at = this.open ? order.indexOf(this.open.index) + by : by > 0 ? 0 : order.length - 1;
    if (order[at] !== undefined) this.show(order[at]);
  }
}

function differenceBar(measure, value, reach) {
  const better = measure.higherIsBetter ? value > 0 : value < 0;
  const bar = element("span", { class: `difference-bar ${better ? "good" : "bad"}`, "aria-hidden": "true" });
  const length = (50 * Math.abs(value)) / reach;
  bar.style.setProperty("--begin", `${value < 0 ? 50 - length : 50}%`);
  bar.style.setProperty("--length", `${length}%`);
  return bar;
}

function excerptNote(recording) {
  const { begin, end, seconds } = recording;
  const part = end - begin < seconds - 0.05
    ? `The ${(end - begin).toFixed(1)} s from ${clock(begin)} of ${clock(seconds)}, where most is said at once. ` : "";
  return element("p", { class: "note" },
    `${part}All players are matched to one loudness (BS.1770) by the gain beside each lane; spectrograms show levels as they were separated, 70 dB deep, up to ${Math.min(8, recording.rate / 2000)} kHz on the mel scale.`);
}

function calmly() {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
}
