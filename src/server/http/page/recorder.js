// The microphone.

/** Why there is no microphone, or nothing. */
export function whyNot() {
  if (!window.isSecureContext) return "A browser gives the microphone to https and localhost alone.";
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) return "This browser has no recorder.";
  return "";
}

/** Records until `stop()`, or for `most` seconds. `done` resolves to the recording as a Blob. */
export async function record(most) {
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  const recorder = new MediaRecorder(stream);
  const pieces = [];
  recorder.ondataavailable = (event) => pieces.push(event.data);
  const done = new Promise((resolve) => {
    recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      resolve(new Blob(pieces, { type: recorder.mimeType }));
    };
  });
  recorder.start();
  const stop = () => {
    if (recorder.state !== "inactive") recorder.stop();
  };
  const timer = setTimeout(stop, 1000 * most);
  done.then(() => clearTimeout(timer));
  return { stop, done };
}
