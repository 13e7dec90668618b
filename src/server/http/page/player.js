// Plays two tracks at one position, one of them while it is still being made.

/** How long before its time a piece is handed to the sound card. */
const LEAD = 0.06;

/** A track: its samples so far at its rate. */
class Track {
  constructor(rate, samples = new Float32Array(0), isWhole = true) {
    this.rate = rate;
    this.pieces = samples.length > 0 ? [samples] : [];
    this.length = samples.length;
    this.isWhole = isWhole;
  }

  get seconds() {
    return this.length / this.rate;
  }

  /** All samples so far. */
  samples() {
    const all = new Float32Array(this.length);
    let at = 0;
    for (const piece of this.pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }
}

export class Player {
  #context = null;
  #tracks = {};
  #sources = new Set();
  /** The track that plays, and the context's time at its first sample. */
  #playing = null;
  #zero = 0;
  #rest = 0;

  /** The tracks by name; null for none. */
  set(name, samples, rate) {
    if (this.#playing === name) this.pause();
    this.#tracks[name] = samples ? new Track(rate, samples) : null;
  }

  /** A track that is still being made. */
  begin(name, rate) {
    if (this.#playing === name) this.pause();
    this.#tracks[name] = new Track(rate, new Float32Array(0), false);
  }

  /** Takes what was made; it is heard where the track is playing. */
  append(name, samples) {
    const track = this.#tracks[name];
    const start = track.seconds;
    track.pieces.push(samples);
    track.length += samples.length;
    if (this.#playing === name) this.#schedule(samples, track.rate, start);
  }

  finish(name) {
    this.#tracks[name].isWhole = true;
  }

  has(name) {
    return Boolean(this.#tracks[name]?.length);
  }

  seconds(name) {
    return this.#tracks[name]?.seconds ?? 0;
  }

  samples(name) {
    return this.#tracks[name].samples();
  }

  get isPlaying() {
    return this.#playing !== null;
  }

  /** Seconds from the start. At the end of a whole track it stops. */
  position() {
    if (this.#playing === null) return this.#rest;
    const track = this.#tracks[this.#playing];
    const now = Math.max(0, this.#context.currentTime - this.#zero);
    if (track.isWhole && now >= track.seconds) {
      this.pause();
      this.#rest = 0;
      return 0;
    }
    return Math.min(now, track.seconds);
  }

  /** Plays a track from where it is, or from a place in it. Must come of a click or a key once. */
  play(name, from = this.position()) {
    this.pause();
    const track = this.#tracks[name];
    this.#context ??= new AudioContext();
    this.#context.resume();
    const start = from < track.seconds ? from : 0;
    this.#zero = this.#context.currentTime + LEAD - start;
    this.#playing = name;
    const samples = track.samples().subarray(Math.floor(start * track.rate));
    if (samples.length > 0) this.#schedule(samples, track.rate, start);
  }

  pause() {
    if (this.#playing === null) return;
    const track = this.#tracks[this.#playing];
    const now = Math.max(0, this.#context.currentTime - this.#zero);
    this.#rest = Math.min(now, track.seconds);
    this.#playing = null;
    for (const source of this.#sources) source.stop();
    this.#sources.clear();
  }

  /** Goes to a place in seconds. */
  seek(seconds) {
    const playing = this.#playing;
    this.pause();
    this.#rest = seconds;
    if (playing !== null) this.play(playing, seconds);
  }

  #schedule(samples, rate, start) {
    const context = this.#context;
    const buffer = context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(context.destination);
    // What comes late is heard late, and what follows it after it.
    const earliest = context.currentTime + LEAD / 2;
    if (this.#zero + start < earliest) this.#zero = earliest - start;
    source.start(this.#zero + start);
    this.#sources.add(source);
    source.onended = () => this.#sources.delete(source);
  }
}
