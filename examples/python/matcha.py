"""Matcha-TTS to speech: python matcha.py [speech.wav]"""

import sys

import soundfile
import vocode_onnx
from stand_in import Matcha

model = Matcha()  # yours: MatchaTTS.load_from_checkpoint("matcha_ljspeech.ckpt")
vocoder = vocode_onnx.Vocoder()
output = model.synthesise("Good morning.")
audio = vocoder.decode(output["decoder_outputs"], mel_convention="matcha", lengths=output["mel_lengths"].tolist())
soundfile.write(sys.argv[1] if len(sys.argv) > 1 else "speech.wav", audio[0], vocoder.sample_rate)
