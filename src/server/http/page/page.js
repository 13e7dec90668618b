// The page: from an input to audio that is heard and seen.

import { readMel } from "./npy.js";
import { Player } from "./player.js";
import { record, whyNot } from "./recorder.js";
import { ServiceError, info, key, melOf, vocode } from "./service.js";
import { MARGIN, draw, rangeOf } from "./spectrogram.js";
import { mono, wavOf } from "./wav.js";

/** Hertz at which a recording is kept to be heard. */
const RECORDING_RATE = 48000;

const at = (id) => document.getElementById(id);
const player = new Player();
const state = {
  server: null,
  /** The input: its `.npy` bytes, what it is called, and its mel where it can be drawn. */
  input: null,
  /** The mel of the output. */
  output: null,
  recording: null,
  making: null,
};

// Input

/** Takes a file: a mel as it is, anything else as a recording. */
async function take(blob, name) {
  problem("");
  say("input-status", `Reading ${name}…`);
  try {
    const bytes = await blob.arrayBuffer();
    const first = new Uint8Array(bytes.slice(0, 2));
    const isMel = first[0] === 0x93 || (first[0] === 0x50 && first[1] === 0x4b);
    await (isMel ? takeMel(bytes, name) : takeRecording(bytes, name));
  } catch (error) {
    say("input-status", "Nothing usable yet.");
    fail(error);
  }
}

async function takeMel(npy, name) {
  player.set("a", null);
  accept(npy, name, "mel");
}

/** A recording is made into a mel by the server; one that it cannot read, by way of the browser's decoder. */
async function takeRecording(bytes, name) {
  const decoded = await decode(bytes.slice(0));
  const limit = state.server.limits.max_message_bytes;
  let npy;
  try {
    if (bytes.byteLength > limit && decoded) throw new ServiceError(413, "too large as it is");
    npy = await melOf(bytes, modelName());
  } catch (error) {
    if (!decoded || ![400, 413].includes(error.status)) throw error;
    npy = await melOf(wavOf(await resampled(decoded, model().mel.sample_rate_hz), model().mel.sample_rate_hz), modelName());
  }
  player.set("a", decoded && mono(decoded), RECORDING_RATE);
  accept(npy, name, "recording");
}

/** What the browser makes of a recording, or null. */
async function decode(bytes) {
  const context = new OfflineAudioContext(1, 1, RECORDING_RATE);
  return context.decodeAudioData(bytes).catch(() => null);
}

async function resampled(buffer, rate) {
  const context = new OfflineAudioContext(1, Math.ceil(buffer.duration * rate), rate);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
  return mono(await context.startRendering());
}

function accept(npy, name, kind) {
  const mel = readMel(npy, model().mel.n_mels);
  state.input = { npy, name, kind, mel };
  state.output = null;
  player.set("b", null);
  const length = mel ? `${secondsOf(mel).toFixed(1)} s, ${mel.frames} frames` : "a mel that cannot be drawn here";
  say("input-status", `${name}: ${length}`);
  at("input-caption").textContent = `Input: ${name}`;
  at("make").disabled = false;
  at("convention").disabled = kind === "recording";
  at("figures").hidden = at("warnings").hidden = at("download").hidden = true;
  say("made-status", "No audio yet.");
  refresh();
}

// Audio

async function make() {
  const { npy, kind } = state.input;
  const parameters = { steps: at("steps").value, seed: at("seed").value };
  if (modelName()) parameters.model = modelName();
  if (kind === "mel" && at("convention").value) parameters.mel_convention = at("convention").value;
  problem("");
  busy(true);
  state.making = new AbortController();
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  let head = null;
  let first = null;
  try {
    await vocode(npy, parameters, {
      signal: state.making.signal,
      onHead: (found) => {
        head = found;
        player.begin("b", head.rate);
      },
      onSamples: (samples) => {
        player.append("b", samples);
        if (first === null) {
          first = since();
          at("track-b").checked = true;
          player.play("b", 0);
          say("made-status", `First audio after ${milliseconds(first)}; the rest is being made.`);
          refresh();
        }
      },
    });
    player.finish("b");
    told(head, first, since(), parameters);
    await drawOutput(head);
  } catch (error) {
    if (head) player.finish("b");
    if (error.name === "AbortError") say("made-status", "Stopped.");
    else fail(error);
  } finally {
    state.making = null;
    busy(false);
    refresh();
  }
}

/** What was made, and how long it took. */
function told(head, first, all, parameters) {
  const seconds = player.seconds("b");
  say("made-status", `${seconds.toFixed(2)} s of audio, the first of it after ${milliseconds(first)}.`);
  at("first-audio").textContent = milliseconds(first);
  at("all-audio").textContent = milliseconds(all);
  at("length").textContent = `${seconds.toFixed(2)} s`;
  at("factor").textContent = (all / seconds).toFixed(3);
  at("ran").textContent = `${head.model}, ${head.steps} steps (${head.schedule}), seed ${head.seed}, ${head.provider} ${head.precision}`;
  at("figures").hidden = false;
  at("warnings").replaceChildren(...[head.warnings].filter(Boolean).map((text) => item(text)));
  at("warnings").hidden = !head.warnings;
  const file = new Blob([wavOf(player.samples("b"), head.rate)], { type: "audio/wav" });
  URL.revokeObjectURL(at("download").href);
  at("download").href = URL.createObjectURL(file);
  at("download").hidden = false;
  const query = new URLSearchParams(parameters);
  const secret = key.get() ? ' -H "Authorization: Bearer $KEY"' : "";
  at("command").textContent = `curl${secret} --data-binary @mel.npy "${location.origin}/v1/vocode?${query}" -o speech.wav`;
  at("terminal").hidden = false;
}

/** The mel of what was made, measured as that of the input. */
async function drawOutput(head) {
  const npy = await melOf(wavOf(player.samples("b"), head.rate), modelName()).catch(() => null);
  state.output = npy && readMel(npy, model().mel.n_mels);
}

// What is seen

function refresh() {
  for (const track of ["a", "b"]) at(`track-${track}`).disabled = !player.has(track);
  const isFirst = at("track-a").checked && !player.has("a");
  if (isFirst) at("track-b").checked = true;
  at("play").disabled = at("seek").disabled = !player.has(chosen());
  drawAll();
}

function drawAll() {
  const { input, output } = state;
  at("pictures").hidden = !input?.mel;
  const range = input?.mel && rangeOf(input.mel);
  // A mel of another convention has numbers of its own.
  const isShared = input?.kind === "recording" || !at("convention").value;
  show("input", input?.mel, range);
  show("output", output, output && range && isShared ? range : output && rangeOf(output));
}

function show(which, mel, range) {
  const canvas = at(`${which}-picture`);
  canvas.hidden = !mel;
  at(`${which}-caption`).hidden = !mel;
  if (!mel) return;
  const { band_centres_hz: centres, f_max: top } = model().mel;
  const seconds = secondsOf(mel);
  draw(canvas, mel, { range, seconds, centres, top });
  const what = which === "input" ? "input" : "audio that was made";
  canvas.setAttribute("aria-label", `Mel spectrogram of the ${what}: ${seconds.toFixed(1)} seconds, ${mel.bands} bands up to ${top} Hz`);
}

/** Puts what follows the sound where the sound is. */
function place() {
  const seconds = player.seconds(chosen());
  const position = player.position();
  at("play").textContent = player.isPlaying ? "Pause" : "Play";
  const seek = at("seek");
  if (document.activeElement !== seek || player.isPlaying) seek.value = seconds ? (1000 * position) / seconds : 0;
  const text = `${clock(position)} / ${clock(seconds)}`;
  if (at("time").textContent !== text) at("time").textContent = text;
  seek.setAttribute("aria-valuetext", `${position.toFixed(1)} of ${seconds.toFixed(1)} seconds`);
  for (const which of ["input", "output"]) {
    const mel = which === "input" ? state.input?.mel : state.output;
    const canvas = at(`${which}-picture`);
    const head = at(`${which}-head`);
    head.hidden = !mel || !seconds;
    if (head.hidden) continue;
    const width = canvas.clientWidth - MARGIN.left - MARGIN.right;
    head.style.left = `${MARGIN.left + width * Math.min(1, position / secondsOf(mel))}px`;
    head.style.top = `${MARGIN.top}px`;
    head.style.height = `${canvas.clientHeight - MARGIN.top - MARGIN.bottom}px`;
  }
}

function follow() {
  place();
  requestAnimationFrame(follow);
}

function busy(isBusy) {
  at("make").disabled = isBusy;
  at("stop").hidden = !isBusy;
}

function say(id, text) {
  at(id).textContent = text;
}

function problem(text) {
  at("problem").textContent = text;
  at("problem").hidden = !text;
}

function fail(error) {
  if (error.status === 401) at("key-form").hidden = false;
  problem(error.message);
}

function item(text) {
  const element = document.createElement("li");
  element.textContent = text;
  return element;
}

const chosen = () => (at("track-a").checked ? "a" : "b");
const modelName = () => (at("model-field").hidden ? "" : at("model").value);
const model = () => state.server.models.find((found) => found.name === modelName()) ?? state.server.models[0];
const secondsOf = (mel) => (mel.frames * model().mel.hop) / model().mel.sample_rate_hz;
const milliseconds = (seconds) => (seconds < 10 ? `${Math.round(1000 * seconds)} ms` : `${seconds.toFixed(1)} s`);
const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;

// The server

/** Asks the server what it is, again while it loads its models. */
async function connect() {
  try {
    state.server = await info();
  } catch (error) {
    if (error.status === 401) {
      at("key-form").hidden = false;
      say("server", "The server asks for an API key.");
    } else {
      say("server", `${error.message} Trying again…`);
      setTimeout(connect, 1000);
    }
    return;
  }
  const { models, limits, version, mel_conventions: conventions } = state.server;
  at("model").replaceChildren(...models.map(({ name }) => new Option(name, name)));
  at("model-field").hidden = models.length < 2;
  at("convention").replaceChildren(new Option(`${models[0].mel.name} (the model's own)`, ""), ...conventions.map((name) => new Option(name, name)));
  at("steps").max = limits.max_steps;
  choose();
  for (const id of ["file", "demo"]) at(id).disabled = false;
  at("record").disabled = Boolean(whyNot());
  say("record-note", whyNot());
  document.body.dataset.ready = "yes";
  say("server", `vocode ${version}`);
}

/** The steps of the chosen model's default schedule. */
function choose() {
  const { schedules, default_schedule: usual } = model();
  at("steps").value = schedules.find(({ name }) => name === usual)?.steps ?? 4;
}

async function toggleRecording() {
  if (state.recording) {
    state.recording.stop();
    return;
  }
  const { limits } = state.server;
  const { hop, sample_rate_hz: rate } = model().mel;
  try {
    state.recording = await record(Math.floor((limits.max_unary_frames * hop) / rate) - 1);
  } catch (error) {
    problem(`No microphone: ${error.message}`);
    return;
  }
  at("record").textContent = "Stop recording";
  at("record").classList.add("recording");
  say("input-status", "Recording…");
  const recording = await state.recording.done;
  state.recording = null;
  at("record").textContent = "Record";
  at("record").classList.remove("recording");
  await take(recording, "your voice");
}

// Events

at("file").addEventListener("change", () => {
  const [file] = at("file").files;
  if (file) take(file, file.name);
  at("file").value = "";
});
at("demo").addEventListener("click", async () => {
  const response = await fetch("/page/demo.npy");
  await take(await response.blob(), "demo.npy");
});
at("record").addEventListener("click", toggleRecording);
at("options").addEventListener("submit", (event) => {
  event.preventDefault();
  if (state.input && !state.making) make();
});
at("stop").addEventListener("click", () => state.making?.abort());
at("model").addEventListener("change", choose);
at("convention").addEventListener("change", drawAll);
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key.set(at("key").value);
  at("key").value = "";
  at("key-form").hidden = true;
  problem("");
  connect();
});
// A screen reader tells at once what a key has done, so nothing waits for the next frame.
at("play").addEventListener("click", () => {
  if (player.isPlaying) player.pause();
  else player.play(chosen());
  place();
});
at("seek").addEventListener("input", () => {
  player.seek((at("seek").value / 1000) * player.seconds(chosen()));
  place();
});
for (const track of ["a", "b"]) {
  at(`track-${track}`).addEventListener("change", () => {
    const position = player.position();
    if (player.isPlaying) player.play(track, position);
    refresh();
  });
}
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, () => at("drop").classList.remove("over"));
}
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file && state.server) take(file, file.name);
});
window.addEventListener("resize", drawAll);

for (const id of ["file", "demo", "record"]) at(id).disabled = true;
drawAll();
connect();
requestAnimationFrame(follow);
