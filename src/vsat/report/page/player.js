// Plays all tracks of a recording on one clock and lets one of them through.

const FADE_S = 0.012; // between two tracks: short enough to compare, long enough not to click
const PATIENCE_S = 2; // for a sound device; without one some browsers wait for ever
const LEAD_S = 0.03; // so that all tracks are ready when they begin

class Player {
  constructor() {
    this.context = null;
    this.isMute = false;
    this.listeners = new Set();
    this.load(null);
  }

  load(recording) {
    this.stop();
    this.recording = recording;
    this.selected = 0;
    this.offset = 0;
    this.changed();
  }

  get playing() {
    return this.sources !== null;
  }

  get duration() {
    return this.recording ? this.recording.duration : 0;
  }

  /** Seconds from the beginning of the excerpt. */
  get position() {
    if (!this.playing) return this.offset;
    const elapsed = Math.max(0, this.context.currentTime - this.startedAt);
    return Math.min(this.duration, this.offset + elapsed);
  }

  async toggle() {
    if (this.playing) this.pause();
    else await this.play();
  }

  async play() {
    if (!this.recording || this.playing) return;
    const recording = this.recording;
    this.context ??= new AudioContext({ latencyHint: "interactive" });
    const hasSound = await Promise.race([
      this.context.resume().then(() => true),
      new Promise((resolve) => { setTimeout(resolve, 1000 * PATIENCE_S, false); }),
    ]);
    if (this.recording !== recording || this.playing) return;
    this.isMute = !hasSound;
    if (this.isMute) {
      this.changed();
      return;
    }
    if (this.offset >= this.duration - 0.01) this.offset = 0;
    this.begin();
    this.changed();
  }

  begin() {
    this.startedAt = this.context.currentTime + LEAD_S;
    this.gains = this.recording.tracks.map((_, index) => this.newGain(index));
    this.sources = this.recording.tracks.map((track, index) => {
      const source = new AudioBufferSourceNode(this.context, { buffer: track.buffer });
      source.connect(this.gains[index]);
      source.start(this.startedAt, this.offset);
      return source;
    });
    const sources = this.sources;
    sources[0].addEventListener("ended", () => {
      if (this.sources === sources) this.finish();
    });
  }

  newGain(index) {
    const gain = new GainNode(this.context, { gain: this.levelOf(index) });
    gain.connect(this.context.destination);
    return gain;
  }

  levelOf(index) {
    return index === this.selected ? 10 ** (this.recording.tracks[index].gainDb / 20) : 0;
  }

  /** Let another track through; the clock goes on. */
  select(index) {
    if (index === this.selected || !this.recording?.tracks[index]) return;
    this.selected = index;
    if (this.playing) {
      const now = this.context.currentTime;
      this.gains.forEach(({ gain }, track) => {
        gain.cancelScheduledValues(now);
        gain.setValueAtTime(gain.value, now);
        gain.linearRampToValueAtTime(this.levelOf(track), now + FADE_S);
      });
    }
    this.changed();
  }

  seek(seconds) {
    const wasPlaying = this.playing;
    this.stop();
    this.offset = Math.min(this.duration, Math.max(0, seconds));
    if (wasPlaying && this.offset < this.duration) this.begin();
    this.changed();
  }

  pause() {
    const position = this.position;
    this.stop();
    this.offset = position;
    this.changed();
  }

  finish() {
    this.stop();
    this.offset = this.duration;
    this.changed();
  }

  stop() {
    for (const source of this.sources || []) source.stop();
    for (const gain of this.gains || []) gain.disconnect();
    this.sources = null;
    this.gains = null;
  }

  changed() {
    for (const listener of this.listeners) listener();
  }
}
