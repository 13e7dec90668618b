"""The exceptions of this package. Their messages are the library's, and say what was expected, what was found and what to do."""


class VocodeError(Exception):
    """Any error of the vocoder."""


class MelError(VocodeError, ValueError):
    """A mel that cannot be used: its shape, its values or its convention."""


class AudioError(VocodeError, ValueError):
    """Audio or a sample rate that cannot be used."""


class OptionError(VocodeError, ValueError):
    """An argument out of its range, or that does not fit the model."""


class ModelError(VocodeError):
    """A model folder that cannot be used."""


class OnnxRuntimeError(VocodeError, RuntimeError):
    """ONNX Runtime is missing or too old, or it refuses a provider or a graph."""
