//! The options of a request: the fields of `SynthesisConfig` as parameters of the query, under their own names.

use axum::http::Uri;
use serde_json::{Value, json};
use tonic::Status;

use super::format;
use crate::proto::schedule::Kind;
use crate::proto::{
    AudioEncoding, BetaList, Corrector, MelLayout, Schedule, Solver, SynthesisConfig, TimeList,
    Watermark,
};
use crate::server::status::invalid;

/// What the query of a request says.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub config: SynthesisConfig,
    pub layout: MelLayout,
    pub request_id: String,
}

/// A parameter.
pub(super) struct Parameter {
    pub name: &'static str,
    /// What it does, for the description of the service.
    pub about: &'static str,
    /// A value that the built-in model takes.
    pub example: &'static str,
    pub form: Form,
    /// Takes the value, or says what it should have been.
    set: fn(&mut Asked, &str) -> Result<(), String>,
}

/// What a value looks like.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Text,
    Whole,
    Real,
    /// Numbers with commas between them.
    Reals,
    Switch,
    OneOf(&'static [&'static str]),
}

impl Form {
    /// Its JSON Schema.
    pub fn schema(self) -> Value {
        match self {
            Form::Text => json!({"type": "string", "maxLength": 128}),
            Form::Whole => json!({"type": "integer", "minimum": 0}),
            Form::Real => json!({"type": "number"}),
            Form::Reals => json!({"type": "array", "items": {"type": "number"}}),
            Form::Switch => json!({"type": "boolean"}),
            Form::OneOf(names) => json!({"type": "string", "enum": names}),
        }
    }
}

/// Encodings by the names that [`format::name`] gives them.
const ENCODINGS: &[&str] = &[
    "wav_s16",
    "wav_f32",
    "flac",
    "opus",
    "pcm_s16le",
    "pcm_f32le",
    "mulaw",
    "alaw",
];
const LAYOUTS: &[&str] = &["bands_first", "frames_first"];

/// The model, which both kinds of request may name.
const MODEL: Parameter = Parameter {
    name: "model",
    about: "Name of the model, see /v1/info. The first when left out.",
    example: "default",
    form: Form::Text,
    set: |asked, text| {
        asked.config.model = text.to_owned();
        Ok(())
    },
};

const REQUEST_ID: Parameter = Parameter {
    name: "request_id",
    about: "A name for the call in the server's log, and in the answer's header Vocode-Request-Id. The server makes one when left out.",
    example: "a-test",
    form: Form::Text,
    set: |asked, text| {
        asked.request_id = text.to_owned();
        Ok(())
    },
};

/// Of a request for a mel.
pub(super) static OF_MEL: [Parameter; 2] = [MODEL, REQUEST_ID];

/// Of a request for audio.
pub(super) static OF_VOCODE: [Parameter; 25] = [
    MODEL,
    Parameter {
        name: "steps",
        about: "Denoising steps: the model's schedule of that length, or evenly spaced ones.",
        example: "2",
        form: Form::Whole,
        set: |asked, text| schedule(asked, Kind::Steps(whole(text)?)),
    },
    Parameter {
        name: "schedule",
        about: "One of the model's schedules by name, see /v1/info. At most one of schedule, steps, times and betas.",
        example: "fine",
        form: Form::Text,
        set: |asked, text| schedule(asked, Kind::Name(text.to_owned())),
    },
    Parameter {
        name: "times",
        about: "Times of a flow model, from 0 up, each below 1.",
        example: "0,0.5",
        form: Form::Reals,
        set: |asked, text| {
            let values = reals(text)?;
            schedule(asked, Kind::Times(TimeList { values }))
        },
    },
    Parameter {
        name: "betas",
        about: "Inference betas of a DDPM model, as in DiffWave's fast sampling.",
        example: "",
        form: Form::Reals,
        set: |asked, text| {
            let values = reals(text)?;
            schedule(asked, Kind::Betas(BetaList { values }))
        },
    },
    Parameter {
        name: "solver",
        about: "One of the model's solvers, see /v1/info. As the schedule does when left out.",
        example: "heun",
        form: Form::Text,
        set: |asked, text| {
            solver(asked).name = text.to_owned();
            Ok(())
        },
    },
    Parameter {
        name: "eta",
        about: "Of the solver ddim: how much of the ancestral sampler's noise is fresh, 0 to 1.",
        example: "",
        form: Form::Real,
        set: |asked, text| {
            solver(asked).eta = Some(real(text)?);
            Ok(())
        },
    },
    Parameter {
        name: "corrector_steps",
        about: "Of the solver predictor-corrector: Langevin steps after each step but the last, 1 to 16.",
        example: "",
        form: Form::Whole,
        set: |asked, text| {
            corrector(asked).steps = whole(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "corrector_snr",
        about: "Of the solver predictor-corrector: how far each of them goes, above 0, at most 0.5.",
        example: "",
        form: Form::Real,
        set: |asked, text| {
            corrector(asked).snr = real(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "seed",
        about: "Seed of the noise, 0 when left out. The same seed gives the same audio.",
        example: "7",
        form: Form::Whole,
        set: |asked, text| {
            asked.config.seed = Some(whole(text)?);
            Ok(())
        },
    },
    Parameter {
        name: "sample_rate_hz",
        about: "Sample rate of the audio. The model's own when left out.",
        example: "16000",
        form: Form::Whole,
        set: |asked, text| {
            asked.config.sample_rate_hz = whole(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "encoding",
        about: "How the audio is written. When left out, as Accept asks for: audio/wav, audio/flac, audio/ogg (Opus) or application/octet-stream (16-bit PCM); else WAV.",
        example: "flac",
        form: Form::OneOf(ENCODINGS),
        set: |asked, text| {
            let found = format::named(text);
            let found = found.ok_or_else(|| format!("one of {}", ENCODINGS.join(", ")))?;
            asked.config.encoding = found.into();
            Ok(())
        },
    },
    Parameter {
        name: "mel_convention",
        about: "Convention of the mel, such as tacotron2 or matcha. What the model takes when left out.",
        example: "hifigan",
        form: Form::Text,
        set: |asked, text| {
            asked.config.mel_convention = text.to_owned();
            Ok(())
        },
    },
    Parameter {
        name: "mel_mean",
        about: "Of a normalised mel: the mean that was taken off, one for all bands or one for each.",
        example: "0",
        form: Form::Reals,
        set: |asked, text| {
            asked.config.mel_mean = reals(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "mel_std",
        about: "The standard deviation that the mel was divided by, likewise.",
        example: "1",
        form: Form::Reals,
        set: |asked, text| {
            asked.config.mel_std = reals(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "trim_padding",
        about: "Cut frames at either end of the mel that hold one value in every band: the padding of a batch.",
        example: "true",
        form: Form::Switch,
        set: |asked, text| {
            asked.config.trim_padding = switch(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "approximate_mel",
        about: "Take a mel of another rate, hop or bands too, approximately, where that was measured to lose little; Vocode-Warning says how much.",
        example: "true",
        form: Form::Switch,
        set: |asked, text| {
            asked.config.approximate_mel = switch(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "restore",
        about: "Measure how far the mel is blurred, as the mean that an acoustic model predicts is, and undo it. The mel of a recording stays as it is.",
        example: "true",
        form: Form::Switch,
        set: |asked, text| {
            asked.config.restore = switch(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "sharpen",
        about: "Bring out the detail across bands that a blurred mel has lost, 0 to 4; 0 leaves the mel as it is. As the model does when left out.",
        example: "1",
        form: Form::Real,
        set: |asked, text| {
            asked.config.sharpen = Some(real(text)? as f32);
            Ok(())
        },
    },
    Parameter {
        name: "chunk_frames",
        about: "Mel frames by which the audio advances from one piece to the next. The server's choice when left out.",
        example: "64",
        form: Form::Whole,
        set: |asked, text| {
            asked.config.chunk_frames = whole(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "first_chunk_frames",
        about: "Mel frames that the first piece covers; later ones grow to chunk_frames. The server's choice when left out.",
        example: "24",
        form: Form::Whole,
        set: |asked, text| {
            asked.config.first_chunk_frames = whole(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "watermark",
        about: "Whether the audio carries a watermark, which vocode detect finds. As the server does when left out; one that marks all calls refuses false.",
        example: "true",
        form: Form::Switch,
        set: |asked, text| {
            watermark(asked).enabled = switch(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "watermark_payload",
        about: "What the watermark says, in up to 8 hexadecimal digits, with watermark=true. What the server says, or a hash of the model and its key, when left out.",
        example: "cafe0123",
        form: Form::Text,
        set: |asked, text| {
            let bits = u32::from_str_radix(text, 16).map_err(|_| "up to 8 hexadecimal digits")?;
            watermark(asked).payload = Some(bits);
            Ok(())
        },
    },
    Parameter {
        name: "layout",
        about: "Which side of the array holds the bands, where its shape does not say.",
        example: "bands_first",
        form: Form::OneOf(LAYOUTS),
        set: |asked, text| {
            let name = format!("MEL_LAYOUT_{}", text.to_ascii_uppercase());
            let found = MelLayout::from_str_name(&name);
            let found = found.filter(|layout| *layout != MelLayout::Unspecified);
            asked.layout = found.ok_or_else(|| format!("one of {}", LAYOUTS.join(", ")))?;
            Ok(())
        },
    },
    REQUEST_ID,
];

/// Reads a query. Its values are texts; what they mean to the model is looked at later, as for gRPC.
///
/// # Errors
/// INVALID_ARGUMENT for a parameter that there is not, that comes twice, or whose value is none of its form.
pub(super) fn read(uri: &Uri, parameters: &[Parameter]) -> Result<Asked, Status> {
    let mut asked = Asked::default();
    let mut seen = Vec::new();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        let found = parameters.iter().find(|known| known.name == name);
        let Some(parameter) = found else {
            let known: Vec<&str> = parameters.iter().map(|known| known.name).collect();
            let message = format!(
                "there is no parameter `{}`; there is {}",
                short(&name),
                known.join(", ")
            );
            return Err(invalid(&format!("config.{}", short(&name)), message));
        };
        let field = format!("config.{}", parameter.name);
        if seen.contains(&parameter.name) {
            let message = format!("`{}` came twice: give it once", parameter.name);
            return Err(invalid(&field, message));
        }
        seen.push(parameter.name);
        (parameter.set)(&mut asked, &value).map_err(|expected| {
            let message = format!(
                "`{}` is `{}`: expected {expected}",
                parameter.name,
                short(&value)
            );
            invalid(&field, message)
        })?;
    }
    Ok(asked)
}

fn watermark(asked: &mut Asked) -> &mut Watermark {
    asked.config.watermark.get_or_insert_default()
}

/// What a caller sent, as far as it is told back.
fn short(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control()).take(40);
    shown.collect()
}

fn whole<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| "a whole number from 0 up".to_owned())
}

fn real(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|value| value.is_finite());
    number.ok_or_else(|| "a number".to_owned())
}

fn reals(text: &str) -> Result<Vec<f64>, String> {
    let numbers = text.split(',').map(|part| real(part.trim()));
    numbers
        .collect::<Result<_, _>>()
        .map_err(|_| "numbers with commas between them".to_owned())
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

fn schedule(asked: &mut Asked, kind: Kind) -> Result<(), String> {
    match asked.config.schedule {
        Some(_) => Err("one of schedule, steps, times and betas alone".to_owned()),
        None => {
            asked.config.schedule = Some(Schedule { kind: Some(kind) });
            Ok(())
        }
    }
}

fn solver(asked: &mut Asked) -> &mut Solver {
    asked.config.solver.get_or_insert_default()
}

fn corrector(asked: &mut Asked) -> &mut Corrector {
    solver(asked).corrector.get_or_insert_default()
}

/// The encoding that a query names, if any.
pub(super) fn encoding(config: &SynthesisConfig) -> Option<AudioEncoding> {
    let named = AudioEncoding::try_from(config.encoding).ok();
    named.filter(|encoding| *encoding != AudioEncoding::Unspecified)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, Status> {
        read(&format!("/v1/vocode?{query}").parse().unwrap(), &OF_VOCODE)
    }

    #[test]
    fn parameters_become_the_fields_of_their_names() {
        let read = asked("steps=2&seed=7&sharpen=0.5&mel_mean=-5,0.5&trim_padding=true&approximate_mel=true&restore=true&solver=heun&layout=frames_first&encoding=flac&request_id=a%20b").unwrap();
        let config = read.config;
        assert_eq!(config.schedule.unwrap().kind, Some(Kind::Steps(2)));
        assert_eq!((config.seed, config.mel_mean), (Some(7), vec![-5.0, 0.5]));
        assert!(config.trim_padding && config.approximate_mel && config.restore);
        assert_eq!(config.sharpen, Some(0.5));
        assert_eq!(config.encoding, i32::from(AudioEncoding::Flac));
        assert_eq!(config.solver.unwrap().name, "heun");
        assert_eq!(
            (read.layout, read.request_id.as_str()),
            (MelLayout::FramesFirst, "a b")
        );
        assert!(asked("").unwrap().config == SynthesisConfig::default());
    }

    #[test]
    fn a_parameter_that_cannot_be_read_is_told_with_what_was_expected() {
        let cases = [
            (
                "stepz=2",
                "there is no parameter `stepz`; there is model, steps",
            ),
            ("seed=-1", "`seed` is `-1`: expected a whole number"),
            ("seed=1&seed=2", "`seed` came twice"),
            (
                "steps=2&schedule=x",
                "one of schedule, steps, times and betas alone",
            ),
            ("mel_std=1,,2", "numbers with commas"),
            ("eta=nan", "a number"),
            ("trim_padding=maybe", "true or false"),
            ("encoding=mp3", "one of wav_s16"),
            ("layout=sideways", "one of bands_first"),
        ];
        for (query, words) in cases {
            let status = asked(query).unwrap_err();
            assert!(
                status.message().contains(words),
                "{query}: {}",
                status.message()
            );
        }
    }

    #[test]
    fn the_names_of_encodings_are_those_of_the_contract() {
        for name in ENCODINGS {
            assert_eq!(
                format::named(name).map(format::name).as_deref(),
                Some(*name)
            );
        }
    }
}
