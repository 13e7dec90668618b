//! The library's errors as the exceptions of `vocode_onnx._errors`, in the library's words.

use pyo3::prelude::*;
use vocode::audio::AudioError;
use vocode::{BuiltIn, BundleError, MelError, RuntimeError, VocoderError};

/// An exception of the package, by its name.
fn exception(name: &str, message: String) -> PyErr {
    Python::attach(|py| {
        let made = py
            .import("vocode_onnx._errors")
            .and_then(|errors| errors.getattr(name)?.call1((message,)));
        match made {
            Ok(value) => PyErr::from_value(value),
            Err(error) => error,
        }
    })
}

/// A mel, or an array that should be one, that cannot be used.
pub fn mel_message(message: String) -> PyErr {
    exception("MelError", message)
}

/// What the library says of a mel, and the built-in model that takes it where another one does.
pub fn mel(error: MelError) -> PyErr {
    let other = BuiltIn::taking_refused(&error).map(BuiltIn::name);
    let other = other.map_or_else(String::new, |name| {
        format!("; the built-in model {name} takes it: Vocoder(model=\"{name}\")")
    });
    mel_message(format!("{error}{other}"))
}

/// An argument out of its range.
pub fn option(message: impl ToString) -> PyErr {
    exception("OptionError", message.to_string())
}

/// Audio that cannot be used.
pub fn audio_message(message: String) -> PyErr {
    exception("AudioError", message)
}

/// What the library says of audio or of sample rates.
pub fn audio(error: AudioError) -> PyErr {
    audio_message(error.to_string())
}

/// A model that cannot be used.
pub fn model(error: BundleError) -> PyErr {
    exception("ModelError", error.to_string())
}

/// ONNX Runtime is missing, or refuses or fails.
pub fn runtime(error: RuntimeError) -> PyErr {
    let name = match error {
        RuntimeError::Threads { .. } | RuntimeError::Setting { .. } => "OptionError",
        _ => "OnnxRuntimeError",
    };
    exception(name, error.to_string())
}

/// A synthesis that cannot start or go on.
pub fn vocoder(error: VocoderError) -> PyErr {
    match error {
        VocoderError::Bundle(error) => model(error),
        VocoderError::Runtime(error) => runtime(error),
        VocoderError::Output(error) => audio(error),
        VocoderError::Schedule(_)
        | VocoderError::UnknownSchedule { .. }
        | VocoderError::WindowLength { .. }
        | VocoderError::NoIntegers { .. } => option(error),
        VocoderError::Bands { .. } | VocoderError::MelNotFinite { .. } => {
            mel_message(error.to_string())
        }
        _ => exception("VocodeError", error.to_string()),
    }
}
