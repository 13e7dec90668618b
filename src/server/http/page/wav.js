// Audio as files: what is sent to the server, and what is saved.

/** The mean over the channels of an AudioBuffer. */
export function mono(buffer) {
  const mean = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    const samples = buffer.getChannelData(channel);
    for (let n = 0; n < mean.length; n += 1) mean[n] += samples[n] / buffer.numberOfChannels;
  }
  return mean;
}

/** Mono samples as the bytes of a WAV file of 16 bits. */
export function wavOf(samples, rate) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((letter, n) => bytes.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true);
  bytes.setUint16(22, 1, true);
  bytes.setUint32(24, rate, true);
  bytes.setUint32(28, 2 * rate, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  text(36, "data");
  bytes.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, n) => {
    const value = Math.round(sample * 32768);
    bytes.setInt16(44 + 2 * n, Math.max(-32768, Math.min(32767, value)), true);
  });
  return bytes.buffer;
}
