// A mel to speech through `vocode serve`, piece by piece as it is made.
//
//     vocode serve &
//     node speak.js ../../models/demo/demo.npy speech.wav [127.0.0.1:50051]

import { readFileSync, writeFileSync } from 'node:fs';
import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const proto = new URL('../../proto/vocode/v1/vocoder.proto', import.meta.url).pathname;
const { VocoderService } = loadPackageDefinition(loadSync(proto, { keepCase: true, defaults: true, oneofs: true })).vocode.v1;

// A server that is still loading its model answers UNAVAILABLE.
const retryPolicy = { maxAttempts: 5, initialBackoff: '0.5s', maxBackoff: '4s', backoffMultiplier: 2, retryableStatusCodes: ['UNAVAILABLE'] };
const methodConfig = [{ name: [{ service: 'vocode.v1.VocoderService' }], retryPolicy }];

/** Gives each piece of audio to `play`, and ends well only if the whole answer came: its summary is the last. */
async function speak(client, request, play) {
  const call = client.VocodeStream(request, { deadline: Date.now() + 120_000 });
  let header, summary;
  for await (const answer of call) {
    header ??= answer.header;
    summary ??= answer.summary;
    if (answer.chunk) play(answer.chunk.audio, header);
  }
  if (!summary) throw new Error('the answer ended before its summary');
  for (const warning of header.warnings) console.warn(warning);
  return header;
}

/** A WAV file of 16-bit samples. */
function wav(samples, rate) {
  const header = Buffer.alloc(44);
  header.write('RIFF');
  header.writeUInt32LE(36 + samples.length, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(2 * rate, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples.length, 40);
  return Buffer.concat([header, samples]);
}

const [mel, output, address = '127.0.0.1:50051'] = process.argv.slice(2);
const client = new VocoderService(address, credentials.createInsecure(), { 'grpc.service_config': JSON.stringify({ methodConfig }) });
try {
  const chunks = [];
  const began = performance.now();
  let first;
  const play = (audio) => {
    first ??= performance.now() - began;
    chunks.push(audio);
  };
  // What numpy.save wrote; a mel that your program made goes into n_mels, n_frames and data_f32le.
  const request = { config: { encoding: 'AUDIO_ENCODING_PCM_S16LE', seed: 0 }, mel: { npy_bytes: readFileSync(mel) } };
  const { sample_rate_hz: rate } = await speak(client, request, play);
  const samples = Buffer.concat(chunks);
  writeFileSync(output, wav(samples, rate));
  console.log(`${(samples.length / 2 / rate).toFixed(2)} s of audio, the first after ${first.toFixed(0)} ms`);
} catch (error) {
  console.error(error.details ? `the server says: ${error.details}` : error.message);
  process.exitCode = 1;
} finally {
  client.close();
}
