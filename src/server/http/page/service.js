// The service: what it is asked, and what it answers.

/** What the service says is wrong. */
export class ServiceError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const KEY = "vocode-key";

/** The API key that goes with every request, for as long as this tab is open. */
export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
};

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (key.get()) headers.authorization = `Bearer ${key.get()}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError(0, "The server does not answer.");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new ServiceError(response.status, problem.detail ?? `The server answered ${response.status}.`);
}

/** The server, its models and its limits. */
export async function info() {
  return (await ask("/v1/info")).json();
}

/** The bytes of a mel (.npy) of a recording. */
export async function melOf(recording, model) {
  const query = new URLSearchParams(model ? { model } : {});
  const response = await ask(`/v1/mel?${query}`, { method: "POST", body: recording });
  return response.arrayBuffer();
}

/** Asks for the audio of a mel. `onHead` is told what runs, `onSamples` takes the audio as Float32Arrays while it is made. */
export async function vocode(npy, parameters, { signal, onHead, onSamples }) {
  const query = new URLSearchParams({ ...parameters, encoding: "pcm_f32le" });
  const response = await ask(`/v1/vocode?${query}`, { method: "POST", body: npy, signal });
  onHead(headOf(response.headers));
  const reader = response.body.getReader();
  let rest = new Uint8Array(0);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const bytes = new Uint8Array(rest.length + value.length);
    bytes.set(rest);
    bytes.set(value, rest.length);
    const whole = bytes.length - (bytes.length % 4);
    rest = bytes.slice(whole);
    if (whole > 0) onSamples(new Float32Array(bytes.buffer.slice(0, whole)));
  }
}

function headOf(headers) {
  const text = (name) => headers.get(`vocode-${name}`) ?? "";
  return {
    rate: Number(text("sample-rate")),
    samples: Number(text("total-samples")),
    steps: Number(text("steps")),
    seed: text("seed"),
    model: text("model"),
    schedule: text("schedule"),
    provider: text("provider"),
    precision: text("precision"),
    warnings: text("warning"),
  };
}
