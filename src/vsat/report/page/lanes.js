// The stage: transport, what to listen to, and a spectrogram lane for each track on one time axis.

class Stage {
  /**
   * signals: [{signal, label, hue, laneless}] in the order of the number keys;
   * what is laneless can be heard, and is not drawn.
   */
  constructor(player, recording, signals, name) {
    this.player = player;
    this.recording = recording;
    this.signals = signals.filter((one) => recording.tracks.some((track) => track.signal === one.signal));
    this.voices = Math.max(1, ...recording.tracks.map((track) => track.voice));
    this.signal = 0;
    this.voice = 1;
    this.node = element("div", { class: "stage", tabindex: "-1", role: "group", "aria-label": `Player of ${visible(name)}` });
    this.build();
    this.update = () => this.render();
    player.listeners.add(this.update);
    player.load(recording);
    this.choose(0);
  }

  build() {
    this.playButton = element("button", { class: "play", type: "button", onclick: (event) => this.act(event, () => this.player.toggle()) });
    this.time = element("output", { class: "time", "aria-label": "Position" });
    this.slider = element("input", {
      type: "range", min: "0", max: String(this.recording.duration), step: "0.01", "aria-label": "Position in seconds",
      oninput: () => this.player.seek(Number(this.slider.value)),
    });
    this.muteNotice = element("p", { class: "notice", role: "alert", hidden: true },
      "This browser gives no sound: it found no device to play on, or does not let this page use it.");
    this.signalButtons = this.signals.map((one, index) => this.optionButton(index, one));
    this.voiceButtons = Array.from({ length: this.voices }, (_, index) =>
      element("button", { type: "button", class: "option", onclick: (event) => this.act(event, () => this.choose(this.signal, index + 1)) }, `Voice ${index + 1}`));
    this.node.append(
      element("div", { class: "transport" }, this.playButton, this.time, this.slider),
      this.muteNotice,
      element("div", { class: "options" },
        element("div", { class: "segmented", role: "group", "aria-label": "Listen to" }, this.signalButtons),
        this.voices > 1
          ? element("div", { class: "segmented voices", role: "group", "aria-label": "Voice" }, this.voiceButtons, keyCap("v"))
          : null),
      this.buildLanes());
  }

  optionButton(index, one) {
    return element("button", { type: "button", class: "option", onclick: (event) => this.act(event, () => this.choose(index)) },
      keyCap(String(index + 1)),
      one.hue === null ? null : element("span", { class: `swatch hue-${one.hue}`, "aria-hidden": "true" }),
      breakable(one.label));
  }

  /** Do what a button says; after a click by pointer the keys belong to the stage again. */
  act(event, action) {
    action();
    if (event.detail > 0) this.node.focus({ preventScroll: true });
  }

  buildLanes() {
    this.cursor = element("div", { class: "cursor" });
    this.lanes = [];
    const grid = element("div", { class: "lanes" });
    for (let voice = 0; voice <= this.voices; voice += 1) {
      this.signals.forEach((one, index) => {
        const track = this.trackOf(index, voice);
        if (track < 0 || this.recording.tracks[track].voice !== voice || one.laneless) return;
        const [label, canvas] = this.lane(track, index, one);
        const isFirst = voice > 0 && this.recording.tracks[this.lanes.at(-2)?.track]?.voice !== voice;
        for (const part of [label, canvas]) part.classList.toggle("first-of-voice", isFirst);
        grid.append(label, canvas);
      });
    }
    grid.append(element("div", { class: "overlay", "aria-hidden": "true" }, this.cursor), this.timeAxis());
    return grid;
  }

  lane(track, index, one) {
    const { voice, gainDb } = this.recording.tracks[track];
    const canvas = element("canvas", {
      class: "spectrogram", width: SPECTROGRAM.columns, height: SPECTROGRAM.rows, role: "img",
      "aria-label": `Spectrogram of ${visible(one.label)}${voice ? `, voice ${voice}` : ""}`,
      onclick: (event) => this.act(event, () => this.seekTo(event, index, voice)),
    });
    const label = element("div", { class: `lane-label${one.hue === null ? "" : ` hue-${one.hue}`}` },
      breakable(one.label),
      element("span", { class: "faint" }, `${voice ? `voice ${voice} · ` : ""}${gainDb < 0 ? MINUS : "+"}${Math.abs(gainDb).toFixed(1)} dB`));
    this.lanes.push({ track, canvas, label });
    return [label, canvas];
  }

  timeAxis() {
    const { begin, duration } = this.recording;
    const axis = element("div", { class: "time-axis", "aria-hidden": "true" });
    const { marks, decimals } = marksBetween(begin, begin + duration, 10);
    for (const mark of marks) {
      const share = (mark - begin) / duration;
      const side = share < 0.02 ? "from" : share > 0.98 ? "to" : null;
      const text = element("span", { class: side }, `${mark.toFixed(decimals)} s`);
      text.style.left = `${100 * share}%`;
      axis.append(text);
    }
    return axis;
  }

  /** Compute and draw, lane by lane, so that the page stays awake. */
  async draw() {
    const powers = new Map();
    const powerOf = (track) => {
      const { buffer } = this.recording.tracks[track];
      if (!powers.has(track)) powers.set(track, spectrogramOf(buffer.getChannelData(0), buffer.sampleRate));
      return powers.get(track);
    };
    this.reference ??= strongest(powerOf(0));
    for (const { track, canvas } of this.lanes) {
      if (this.closed) return;
      drawSpectrogram(canvas, powerOf(track), this.reference);
      await new Promise((resolve) => { setTimeout(resolve); });
    }
    this.node.dataset.drawn = "true";
  }

  seekTo(event, index, voice) {
    const box = event.currentTarget.getBoundingClientRect();
    this.choose(index, voice || this.voice);
    this.player.seek(((event.clientX - box.left) / box.width) * this.recording.duration);
  }

  /** Listen to a signal, and to the voice of it that is chosen, as far as it has that many. */
  choose(signal, voice = this.voice) {
    if (!this.signals[signal]) return;
    this.signal = signal;
    this.voice = voice;
    this.player.select(this.trackOf(signal, voice));
    this.render();
  }

  nextVoice() {
    this.choose(this.signal, (this.voice % this.voices) + 1);
  }

  trackOf(signal, voice) {
    const { tracks } = this.recording;
    const of = (number) => tracks.findIndex((one) => one.signal === this.signals[signal].signal && one.voice === number);
    const exact = of(voice);
    return exact >= 0 ? exact : of(0) >= 0 ? of(0) : of(1);
  }

  render() {
    const { playing, selected, isMute } = this.player;
    this.muteNotice.hidden = !isMute;
    this.playButton.textContent = playing ? "❚❚" : "▶";
    this.playButton.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.signalButtons.forEach((button, index) => button.setAttribute("aria-pressed", String(index === this.signal)));
    this.voiceButtons.forEach((button, index) => button.setAttribute("aria-pressed", String(index + 1 === this.voice)));
    for (const { track, canvas, label } of this.lanes) {
      label.classList.toggle("heard", track === selected);
      canvas.classList.toggle("heard", track === selected);
    }
    this.renderTime();
    if (playing && !this.frame) this.frame = requestAnimationFrame(() => this.tick());
  }

  renderTime() {
    const { position } = this.player;
    const { duration } = this.recording;
    this.cursor.style.left = `${(100 * position) / duration}%`;
    this.slider.value = String(position);
    this.slider.setAttribute("aria-valuetext", `${position.toFixed(1)} of ${duration.toFixed(1)} seconds`);
    this.time.value = `${clock(position)} / ${clock(duration)}`;
  }

  tick() {
    this.frame = null;
    if (this.closed) return;
    this.renderTime();
    if (this.player.playing) this.frame = requestAnimationFrame(() => this.tick());
  }

  close() {
    this.closed = true;
    this.player.listeners.delete(this.update);
    this.player.load(null);
    this.node.remove();
  }
}

/** What can be heard of a recording, with the names of the versions in sight. */
function openSignals() {
  return [
    { signal: "mixture", label: "Mixture", hue: null },
    { signal: "reference", label: "Reference", hue: null },
    ...report.versions.map((version, index) => ({ signal: index, label: version, hue: hueOf(version) })),
  ];
}
