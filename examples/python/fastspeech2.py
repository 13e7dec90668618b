"""FastSpeech 2 to speech: python fastspeech2.py [speech.wav]"""

import sys

import soundfile
import vocode_onnx
from stand_in import FastSpeech2

model = FastSpeech2()  # yours: get_model(...) of ming024's repository, whose ninth output is the mel
vocoder = vocode_onnx.Vocoder()
mel = model("Good morning.")
# Its frames lie half a hop off the vocoder's; the audio is shifted to make up for it, and a warning says so.
audio = vocoder.decode(mel, mel_convention="fastspeech2", layout="frames-first")
soundfile.write(sys.argv[1] if len(sys.argv) > 1 else "speech.wav", audio[0], vocoder.sample_rate)
