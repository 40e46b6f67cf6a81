// The blind comparison: letters in place of names, a choice for each file, the answer at the end.

class BlindTest {
  constructor(player, pair, onLeave) {
    this.player = player;
    this.pair = pair;
    this.onLeave = onLeave;
    this.versions = [pair.baseline, pair.candidate];
    this.files = report.files.filter((file) => file.block);
    this.swapped = this.files.map(() => crypto.getRandomValues(new Uint8Array(1))[0] % 2 === 1);
    this.choices = this.files.map(() => undefined);
    this.at = 0;
    this.saved = true;
    this.node = document.getElementById("blind");
  }

  /** The versions behind A and B in a file. */
  lettersOf(index) {
    const [first, second] = this.versions;
    return this.swapped[index] ? { A: second, B: first } : { A: first, B: second };
  }

  get done() {
    return this.choices.every((choice) => choice !== undefined);
  }

  async show(index) {
    this.stage?.close();
    this.stage = null;
    this.at = index;
    const file = this.files[index];
    const holder = element("div", { class: "card" });
    this.node.replaceChildren(this.heading(file), holder, this.choiceButtons(), this.footer());
    try {
      const recording = await openRecording(file);
      if (this.at !== index || !holder.isConnected) return;
      this.stage = new Stage(this.player, recording, this.signals(), file.name);
      holder.append(this.stage.node);
      this.stage.node.focus({ preventScroll: true });
      window.scrollTo({ top: 0, behavior: calmly() });
      await this.stage.draw();
    } catch (error) {
      holder.append(decodingFailure(error));
    }
  }

  /** What can be heard: the letters are not drawn, for a spectrogram could tell. */
  signals() {
    const letters = this.lettersOf(this.at);
    return [
      ...["A", "B"].map((letter) =>
        ({ signal: report.versions.indexOf(letters[letter]), label: letter, hue: null, laneless: true })),
      { signal: "mixture", label: "Mixture", hue: null },
      { signal: "reference", label: "Reference", hue: null },
    ];
  }

  heading(file) {
    const judged = this.choices.filter((choice) => choice !== undefined).length;
    return element("header", { class: "blind-head" },
      element("p", { class: "eyebrow" }, `Blind comparison · recording ${this.at + 1} of ${this.files.length}`),
      element("h2", {}, breakable(file.name)),
      element("progress", { max: String(this.files.length), value: String(judged), "aria-label": `${judged} of ${this.files.length} judged` }));
  }

  choiceButtons() {
    const options = [["A", "A is better", "a"], [null, "No difference", "n"], ["B", "B is better", "b"]];
    const { A } = this.lettersOf(this.at);
    const made = this.choices[this.at];
    const chosen = made === undefined ? undefined : made === null ? null : made === A ? "A" : "B";
    return element("div", { class: "choices", role: "group", "aria-label": "Your choice" }, options.map(([letter, text, key]) =>
      element("button", { type: "button", class: "choice", "aria-pressed": String(letter === chosen), onclick: () => this.choose(letter) },
        element("span", {}, text), keyCap(key))));
  }

  footer() {
    return element("footer", { class: "blind-foot" },
      element("button", { type: "button", class: "quiet", disabled: this.at === 0, onclick: () => this.step(-1) }, keyCap("k"), " Back"),
      element("button", { type: "button", class: "quiet", disabled: this.at === this.files.length - 1, onclick: () => this.step(1) }, "Skip ", keyCap("j")),
      element("button", { type: "button", class: "quiet", onclick: () => this.reveal() }, "Finish and reveal ", keyCap("f")),
      element("button", { type: "button", class: "quiet", onclick: () => this.leave() }, "Leave ", keyCap("Esc")));
  }

  /** Keep a choice and go on to the next file that is not judged. */
  choose(letter) {
    if (this.revealed) return;
    this.choices[this.at] = letter === null ? null : this.lettersOf(this.at)[letter];
    this.saved = false;
    announce(letter === null ? "No difference kept." : `${letter} kept.`);
    const open = this.files.map((_, index) => (this.at + 1 + index) % this.files.length)
      .find((index) => this.choices[index] === undefined);
    if (open === undefined) this.reveal();
    else this.show(open);
  }

  step(by) {
    if (this.revealed || !this.files[this.at + by]) return;
    this.show(this.at + by);
  }

  reveal() {
    if (this.revealed) return;
    this.revealed = true;
    this.stage?.close();
    this.stage = null;
    this.node.replaceChildren(
      element("header", { class: "blind-head" },
        element("p", { class: "eyebrow" }, "Blind comparison · what you preferred"),
        element("h2", { tabindex: "-1" }, this.outcome())),
      this.outcomeBar(), this.exportBox(), this.answers(),
      element("footer", { class: "blind-foot" },
        element("button", { type: "button", class: "primary", onclick: () => this.leave() }, "Back to the report ", keyCap("Esc"))));
    this.node.querySelector("h2").focus();
    window.scrollTo({ top: 0 });
  }

  counts() {
    const wins = this.versions.map((version) => this.choices.filter((choice) => choice === version).length);
    return { wins, decided: wins[0] + wins[1], same: this.choices.filter((choice) => choice === null).length };
  }

  outcome() {
    const { wins, decided } = this.counts();
    if (!decided) return ["You preferred neither."];
    const [low, high] = wilsonInterval(wins[1], decided);
    if (low > 0.5) return ["You preferred ", nameOf(this.versions[1]), "."];
    if (high < 0.5) return ["You preferred ", nameOf(this.versions[0]), "."];
    return ["Your choices can't tell them apart yet."];
  }

  outcomeBar() {
    const { wins, decided, same } = this.counts();
    const [low, high] = wilsonInterval(wins[1], decided);
    const share = decided ? wins[1] / decided : 0.5;
    const bar = element("div", { class: "share", "aria-hidden": "true" },
      element("span", { class: "share-interval" }), element("span", { class: "share-half" }), element("span", { class: "share-mark" }));
    bar.style.setProperty("--low", `${100 * low}%`);
    bar.style.setProperty("--high", `${100 * high}%`);
    bar.style.setProperty("--share", `${100 * share}%`);
    return element("div", { class: "card" },
      element("p", { id: "preference" }, nameOf(this.versions[1]), ` was preferred in ${wins[1]} of ${decided} decided files: `,
        element("strong", {}, decided ? percent(share) : "–"),
        `, 95 % interval ${percent(low)} to ${percent(high)}. No difference in ${same}; ${this.choices.length - decided - same} not judged.`),
      bar,
      element("div", { class: "share-ends" },
        element("span", {}, swatch(this.versions[0]), nameOf(this.versions[0])),
        element("span", {}, nameOf(this.versions[1]), " ", swatch(this.versions[1]))));
  }

  /** The choices in the form that `vsat` reads. */
  exported() {
    const judged = this.files.flatMap((file, index) =>
      this.choices[index] === undefined ? [] : [{ file: file.name, preferred: this.choices[index] }]);
    return JSON.stringify({
      format: report.choicesFormat,
      test_set: report.testSet,
      test_set_digest: report.testSetDigest,
      versions: this.versions,
      choices: judged,
    }, null, 2);
  }

  exportBox() {
    const text = element("textarea", { readonly: true, rows: "7", id: "choices-json", "aria-label": "Your choices as JSON" });
    text.value = this.exported();
    return element("div", { class: "card" },
      element("h3", {}, "Keep your choices"),
      element("p", { class: "lead" }, "Save them, or copy the text; vsat stores them against this pair of versions."),
      element("p", { class: "toolbar" },
        element("button", { type: "button", class: "primary", id: "save-choices", onclick: () => this.save() }, "Save choices.json"),
        element("button", { type: "button", class: "quiet", onclick: () => this.copy(text) }, "Copy")),
      text);
  }

  save() {
    const address = URL.createObjectURL(new Blob([this.exported()], { type: "application/json" }));
    element("a", { href: address, download: "choices.json" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
    this.saved = true;
    announce("Saved as choices.json.");
  }

  copy(text) {
    text.select();
    this.saved = document.execCommand("copy"); // pages from disk may not use the newer clipboard
    announce(this.saved ? "Copied." : "Press Ctrl+C to copy.");
  }

  answers() {
    return element("div", { class: "card scroll" }, element("table", { class: "answers" },
      element("thead", {}, element("tr", {}, ["Recording", "A was", "B was", "You preferred"].map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, this.files.map((file, index) => {
        const { A, B } = this.lettersOf(index);
        const choice = this.choices[index];
        return element("tr", {}, element("th", { scope: "row" }, breakable(file.name)),
          element("td", {}, swatch(A), nameOf(A)), element("td", {}, swatch(B), nameOf(B)),
          element("td", {}, choice === undefined ? "–" : choice === null ? "no difference" : [swatch(choice), nameOf(choice)]));
      }))));
  }

  leave() {
    this.stage?.close();
    this.stage = null;
    this.at = -1;
    this.node.replaceChildren();
    this.onLeave();
  }
}
