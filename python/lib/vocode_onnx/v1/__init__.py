"""The contract of `vocode serve`, `proto/vocode/v1/vocoder.proto`, as grpcio-tools makes it: `vocoder_pb2` and `vocoder_pb2_grpc`.

``vocode_onnx.Client`` does without them; they are there for what it leaves out. `python/stubs` makes them again.
"""
