from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AudioEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIO_ENCODING_UNSPECIFIED: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_PCM_S16LE: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_PCM_F32LE: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_WAV_S16: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_WAV_F32: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_MULAW: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_ALAW: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_FLAC: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_OPUS: _ClassVar[AudioEncoding]

class MelLayout(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MEL_LAYOUT_UNSPECIFIED: _ClassVar[MelLayout]
    MEL_LAYOUT_FRAMES_FIRST: _ClassVar[MelLayout]
    MEL_LAYOUT_BANDS_FIRST: _ClassVar[MelLayout]
AUDIO_ENCODING_UNSPECIFIED: AudioEncoding
AUDIO_ENCODING_PCM_S16LE: AudioEncoding
AUDIO_ENCODING_PCM_F32LE: AudioEncoding
AUDIO_ENCODING_WAV_S16: AudioEncoding
AUDIO_ENCODING_WAV_F32: AudioEncoding
AUDIO_ENCODING_MULAW: AudioEncoding
AUDIO_ENCODING_ALAW: AudioEncoding
AUDIO_ENCODING_FLAC: AudioEncoding
AUDIO_ENCODING_OPUS: AudioEncoding
MEL_LAYOUT_UNSPECIFIED: MelLayout
MEL_LAYOUT_FRAMES_FIRST: MelLayout
MEL_LAYOUT_BANDS_FIRST: MelLayout

class Mel(_message.Message):
    __slots__ = ("n_mels", "n_frames", "layout", "data_f32le", "npy_bytes")
    N_MELS_FIELD_NUMBER: _ClassVar[int]
    N_FRAMES_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    DATA_F32LE_FIELD_NUMBER: _ClassVar[int]
    NPY_BYTES_FIELD_NUMBER: _ClassVar[int]
    n_mels: int
    n_frames: int
    layout: MelLayout
    data_f32le: bytes
    npy_bytes: bytes
    def __init__(self, n_mels: _Optional[int] = ..., n_frames: _Optional[int] = ..., layout: _Optional[_Union[MelLayout, str]] = ..., data_f32le: _Optional[bytes] = ..., npy_bytes: _Optional[bytes] = ...) -> None: ...

class Schedule(_message.Message):
    __slots__ = ("name", "steps", "times", "betas")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    BETAS_FIELD_NUMBER: _ClassVar[int]
    name: str
    steps: int
    times: TimeList
    betas: BetaList
    def __init__(self, name: _Optional[str] = ..., steps: _Optional[int] = ..., times: _Optional[_Union[TimeList, _Mapping]] = ..., betas: _Optional[_Union[BetaList, _Mapping]] = ...) -> None: ...

class TimeList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class BetaList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class Solver(_message.Message):
    __slots__ = ("name", "eta", "corrector")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    CORRECTOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    eta: float
    corrector: Corrector
    def __init__(self, name: _Optional[str] = ..., eta: _Optional[float] = ..., corrector: _Optional[_Union[Corrector, _Mapping]] = ...) -> None: ...

class Corrector(_message.Message):
    __slots__ = ("steps", "snr")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    SNR_FIELD_NUMBER: _ClassVar[int]
    steps: int
    snr: float
    def __init__(self, steps: _Optional[int] = ..., snr: _Optional[float] = ...) -> None: ...

class SynthesisConfig(_message.Message):
    __slots__ = ("model", "encoding", "sample_rate_hz", "schedule", "seed", "mel_convention", "chunk_frames", "first_chunk_frames", "solver", "trim_padding", "mel_mean", "mel_std", "watermark", "start_frame", "start_sample", "approximate_mel", "sharpen", "restore")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    MEL_CONVENTION_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FRAMES_FIELD_NUMBER: _ClassVar[int]
    FIRST_CHUNK_FRAMES_FIELD_NUMBER: _ClassVar[int]
    SOLVER_FIELD_NUMBER: _ClassVar[int]
    TRIM_PADDING_FIELD_NUMBER: _ClassVar[int]
    MEL_MEAN_FIELD_NUMBER: _ClassVar[int]
    MEL_STD_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_FIELD_NUMBER: _ClassVar[int]
    START_FRAME_FIELD_NUMBER: _ClassVar[int]
    START_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    APPROXIMATE_MEL_FIELD_NUMBER: _ClassVar[int]
    SHARPEN_FIELD_NUMBER: _ClassVar[int]
    RESTORE_FIELD_NUMBER: _ClassVar[int]
    model: str
    encoding: AudioEncoding
    sample_rate_hz: int
    schedule: Schedule
    seed: int
    mel_convention: str
    chunk_frames: int
    first_chunk_frames: int
    solver: Solver
    trim_padding: bool
    mel_mean: _containers.RepeatedScalarFieldContainer[float]
    mel_std: _containers.RepeatedScalarFieldContainer[float]
    watermark: Watermark
    start_frame: int
    start_sample: int
    approximate_mel: bool
    sharpen: float
    restore: bool
    def __init__(self, model: _Optional[str] = ..., encoding: _Optional[_Union[AudioEncoding, str]] = ..., sample_rate_hz: _Optional[int] = ..., schedule: _Optional[_Union[Schedule, _Mapping]] = ..., seed: _Optional[int] = ..., mel_convention: _Optional[str] = ..., chunk_frames: _Optional[int] = ..., first_chunk_frames: _Optional[int] = ..., solver: _Optional[_Union[Solver, _Mapping]] = ..., trim_padding: bool = ..., mel_mean: _Optional[_Iterable[float]] = ..., mel_std: _Optional[_Iterable[float]] = ..., watermark: _Optional[_Union[Watermark, _Mapping]] = ..., start_frame: _Optional[int] = ..., start_sample: _Optional[int] = ..., approximate_mel: bool = ..., sharpen: _Optional[float] = ..., restore: bool = ...) -> None: ...

class Watermark(_message.Message):
    __slots__ = ("enabled", "payload")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    payload: int
    def __init__(self, enabled: bool = ..., payload: _Optional[int] = ...) -> None: ...

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ("version", "onnx_runtime_version", "models", "limits")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ONNX_RUNTIME_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    version: str
    onnx_runtime_version: str
    models: _containers.RepeatedCompositeFieldContainer[Model]
    limits: Limits
    def __init__(self, version: _Optional[str] = ..., onnx_runtime_version: _Optional[str] = ..., models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "bundle", "version", "sha256", "licence", "execution_provider", "mel", "schedules", "default_schedule", "context_frames", "process", "solvers", "execution_nodes", "execution_note", "precision")
    class ExecutionNodesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MEL_FIELD_NUMBER: _ClassVar[int]
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FRAMES_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    SOLVERS_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_NODES_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_NOTE_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    bundle: str
    version: str
    sha256: str
    licence: str
    execution_provider: str
    mel: MelConvention
    schedules: _containers.RepeatedCompositeFieldContainer[NamedSchedule]
    default_schedule: str
    context_frames: int
    process: str
    solvers: _containers.RepeatedScalarFieldContainer[str]
    execution_nodes: _containers.ScalarMap[str, int]
    execution_note: str
    precision: str
    def __init__(self, name: _Optional[str] = ..., bundle: _Optional[str] = ..., version: _Optional[str] = ..., sha256: _Optional[str] = ..., licence: _Optional[str] = ..., execution_provider: _Optional[str] = ..., mel: _Optional[_Union[MelConvention, _Mapping]] = ..., schedules: _Optional[_Iterable[_Union[NamedSchedule, _Mapping]]] = ..., default_schedule: _Optional[str] = ..., context_frames: _Optional[int] = ..., process: _Optional[str] = ..., solvers: _Optional[_Iterable[str]] = ..., execution_nodes: _Optional[_Mapping[str, int]] = ..., execution_note: _Optional[str] = ..., precision: _Optional[str] = ...) -> None: ...

class MelConvention(_message.Message):
    __slots__ = ("name", "sample_rate_hz", "n_fft", "win_length", "hop", "n_mels", "f_min", "f_max", "floor", "ceiling")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    N_FFT_FIELD_NUMBER: _ClassVar[int]
    WIN_LENGTH_FIELD_NUMBER: _ClassVar[int]
    HOP_FIELD_NUMBER: _ClassVar[int]
    N_MELS_FIELD_NUMBER: _ClassVar[int]
    F_MIN_FIELD_NUMBER: _ClassVar[int]
    F_MAX_FIELD_NUMBER: _ClassVar[int]
    FLOOR_FIELD_NUMBER: _ClassVar[int]
    CEILING_FIELD_NUMBER: _ClassVar[int]
    name: str
    sample_rate_hz: int
    n_fft: int
    win_length: int
    hop: int
    n_mels: int
    f_min: float
    f_max: float
    floor: float
    ceiling: float
    def __init__(self, name: _Optional[str] = ..., sample_rate_hz: _Optional[int] = ..., n_fft: _Optional[int] = ..., win_length: _Optional[int] = ..., hop: _Optional[int] = ..., n_mels: _Optional[int] = ..., f_min: _Optional[float] = ..., f_max: _Optional[float] = ..., floor: _Optional[float] = ..., ceiling: _Optional[float] = ...) -> None: ...

class NamedSchedule(_message.Message):
    __slots__ = ("name", "steps", "solver")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    SOLVER_FIELD_NUMBER: _ClassVar[int]
    name: str
    steps: int
    solver: str
    def __init__(self, name: _Optional[str] = ..., steps: _Optional[int] = ..., solver: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_unary_frames", "max_stream_frames", "max_message_bytes", "max_streams", "max_steps", "max_call_seconds", "max_idle_seconds")
    MAX_UNARY_FRAMES_FIELD_NUMBER: _ClassVar[int]
    MAX_STREAM_FRAMES_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_STREAMS_FIELD_NUMBER: _ClassVar[int]
    MAX_STEPS_FIELD_NUMBER: _ClassVar[int]
    MAX_CALL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_IDLE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    max_unary_frames: int
    max_stream_frames: int
    max_message_bytes: int
    max_streams: int
    max_steps: int
    max_call_seconds: int
    max_idle_seconds: int
    def __init__(self, max_unary_frames: _Optional[int] = ..., max_stream_frames: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., max_streams: _Optional[int] = ..., max_steps: _Optional[int] = ..., max_call_seconds: _Optional[int] = ..., max_idle_seconds: _Optional[int] = ...) -> None: ...

class VocodeRequest(_message.Message):
    __slots__ = ("config", "mel", "request_id")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    MEL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    config: SynthesisConfig
    mel: Mel
    request_id: str
    def __init__(self, config: _Optional[_Union[SynthesisConfig, _Mapping]] = ..., mel: _Optional[_Union[Mel, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class VocodeResponse(_message.Message):
    __slots__ = ("header", "audio", "summary")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    header: StreamHeader
    audio: bytes
    summary: StreamSummary
    def __init__(self, header: _Optional[_Union[StreamHeader, _Mapping]] = ..., audio: _Optional[bytes] = ..., summary: _Optional[_Union[StreamSummary, _Mapping]] = ...) -> None: ...

class VocodeStreamRequest(_message.Message):
    __slots__ = ("config", "mel", "request_id")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    MEL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    config: SynthesisConfig
    mel: Mel
    request_id: str
    def __init__(self, config: _Optional[_Union[SynthesisConfig, _Mapping]] = ..., mel: _Optional[_Union[Mel, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class VocodeStreamResponse(_message.Message):
    __slots__ = ("header", "chunk", "summary")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    header: StreamHeader
    chunk: AudioChunk
    summary: StreamSummary
    def __init__(self, header: _Optional[_Union[StreamHeader, _Mapping]] = ..., chunk: _Optional[_Union[AudioChunk, _Mapping]] = ..., summary: _Optional[_Union[StreamSummary, _Mapping]] = ...) -> None: ...

class VocodeLiveRequest(_message.Message):
    __slots__ = ("config", "mel", "request_id")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    MEL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    config: SynthesisConfig
    mel: Mel
    request_id: str
    def __init__(self, config: _Optional[_Union[SynthesisConfig, _Mapping]] = ..., mel: _Optional[_Union[Mel, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class VocodeLiveResponse(_message.Message):
    __slots__ = ("header", "chunk", "summary")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    header: StreamHeader
    chunk: AudioChunk
    summary: StreamSummary
    def __init__(self, header: _Optional[_Union[StreamHeader, _Mapping]] = ..., chunk: _Optional[_Union[AudioChunk, _Mapping]] = ..., summary: _Optional[_Union[StreamSummary, _Mapping]] = ...) -> None: ...

class StreamHeader(_message.Message):
    __slots__ = ("request_id", "model", "model_sha256", "sample_rate_hz", "channels", "encoding", "seed", "schedule", "steps", "execution_provider", "total_samples", "solver", "precision", "warnings", "watermark", "lead_frames", "frames_per_second")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    SOLVER_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_FIELD_NUMBER: _ClassVar[int]
    LEAD_FRAMES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    model: str
    model_sha256: str
    sample_rate_hz: int
    channels: int
    encoding: AudioEncoding
    seed: int
    schedule: str
    steps: int
    execution_provider: str
    total_samples: int
    solver: str
    precision: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    watermark: int
    lead_frames: int
    frames_per_second: float
    def __init__(self, request_id: _Optional[str] = ..., model: _Optional[str] = ..., model_sha256: _Optional[str] = ..., sample_rate_hz: _Optional[int] = ..., channels: _Optional[int] = ..., encoding: _Optional[_Union[AudioEncoding, str]] = ..., seed: _Optional[int] = ..., schedule: _Optional[str] = ..., steps: _Optional[int] = ..., execution_provider: _Optional[str] = ..., total_samples: _Optional[int] = ..., solver: _Optional[str] = ..., precision: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ..., watermark: _Optional[int] = ..., lead_frames: _Optional[int] = ..., frames_per_second: _Optional[float] = ...) -> None: ...

class AudioChunk(_message.Message):
    __slots__ = ("sequence", "start_sample", "samples", "audio")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    START_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    start_sample: int
    samples: int
    audio: bytes
    def __init__(self, sequence: _Optional[int] = ..., start_sample: _Optional[int] = ..., samples: _Optional[int] = ..., audio: _Optional[bytes] = ...) -> None: ...

class StreamSummary(_message.Message):
    __slots__ = ("samples", "frames", "clipped", "timings", "warnings")
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    CLIPPED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    samples: int
    frames: int
    clipped: int
    timings: Timings
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, samples: _Optional[int] = ..., frames: _Optional[int] = ..., clipped: _Optional[int] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("queue_ns", "first_audio_ns", "inference_ns", "total_ns")
    QUEUE_NS_FIELD_NUMBER: _ClassVar[int]
    FIRST_AUDIO_NS_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_NS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NS_FIELD_NUMBER: _ClassVar[int]
    queue_ns: int
    first_audio_ns: int
    inference_ns: int
    total_ns: int
    def __init__(self, queue_ns: _Optional[int] = ..., first_audio_ns: _Optional[int] = ..., inference_ns: _Optional[int] = ..., total_ns: _Optional[int] = ...) -> None: ...
