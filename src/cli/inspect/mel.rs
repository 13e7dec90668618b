use ndarray_npy::npy::header::Header;
use serde_json::json;

use super::args::InspectArgs;
use super::findings::Findings;
use super::plot::{Axis, Picture};
use crate::cli::args::ConventionArg;
use crate::cli::choice::{Chosen, Shaped, by_flags};
use crate::cli::error::CliError;
use crate::cli::flags::{mel_problem, other_model, with_flags};
use crate::cli::output::table;
use crate::mel::{
    Guess, Likelihood, Mel, MelConvention, MelError, NpyLimits, Statistics, detect_for_model,
    prepare, prepare_approximately, read_npy,
};

/// Everything that can be said of the mel in `bytes`.
pub(super) fn inspect(bytes: &[u8], name: &str, args: &InspectArgs) -> Result<Findings, CliError> {
    let limits = NpyLimits::default();
    let layout = args.layout.into();
    let said = args.mel_convention.as_ref().map(ConventionArg::load);
    let said = said.transpose()?;
    let named = by_flags(&args.model, said.as_ref(), args.approximate_mel)?;
    let Chosen { bundle, why } = match named {
        Some(chosen) => chosen,
        None => Shaped::read(bytes, layout).chosen(name)?,
    };
    let model = bundle.manifest;
    let said = said.unwrap_or_else(|| model.mel.clone());
    // The model's band count settles most layouts; a mel of another count is still worth a look.
    let mel = match read_npy(bytes, Some(said.n_mels), layout, &limits) {
        Err(MelError::Bands { .. }) => read_npy(bytes, None, layout, &limits),
        other => other,
    }
    .map_err(|e| CliError::mel(name, e))?;

    let statistics = Statistics::of(&mel);
    let guesses = detect_for_model(&mel, &model.mel);
    let verdict = match args.approximate_mel {
        true => prepare_approximately(mel.clone(), &said, &model.mel),
        false => prepare(mel.clone(), &said, &model.mel),
    };
    let (fits, remarks) = match &verdict {
        Ok(prepared) => (
            true,
            prepared
                .notes
                .iter()
                .map(|note| with_flags(note).into_owned())
                .collect(),
        ),
        Err(problem) => {
            let words = format!("{}{}", mel_problem(problem), other_model(problem));
            (false, vec![with_flags(&words).into_owned()])
        }
    };
    let stored = stored_as(bytes);
    let seconds = (mel.frames() * said.hop) as f64 / f64::from(said.sample_rate);
    let json = json!({
        "kind": "mel",
        "n_mels": mel.n_mels(),
        "frames": mel.frames(),
        "stored_as": stored,
        "min": statistics.min,
        "max": statistics.max,
        "mean": statistics.mean,
        "std": statistics.std,
        "likely": guesses.iter().map(guess_json).collect::<Vec<_>>(),
        "taken_as": said.name,
        "seconds": seconds,
        "model": model.name,
        "fits_model": fits,
        "remarks": remarks,
    });
    let mut rows = vec![
        ("mel", name.to_owned()),
        (
            "shape",
            format!("{} bands x {} frames", mel.n_mels(), mel.frames()),
        ),
        ("stored as", stored),
        ("range", range(&statistics)),
        ("likely", likely(&guesses)),
        (
            "length",
            format!("{seconds:.2} s, taken as {}", conventional(&said)),
        ),
        (
            "model",
            match fits {
                true => format!("{} takes it", model.name),
                false => format!("{} does not take it", model.name),
            },
        ),
    ];
    if let Some(why) = &why {
        rows.push(("", with_flags(why).into_owned()));
    }
    if !remarks.is_empty() {
        rows.push((if fits { "remarks" } else { "problem" }, remarks.join("\n")));
    }
    Ok(Findings {
        text: table(&rows),
        json,
        picture: Some(picture(mel, &statistics)),
    })
}

/// Element type, order and shape as the file has them.
fn stored_as(bytes: &[u8]) -> String {
    match Header::from_reader(&mut &*bytes) {
        Ok(header) => {
            let order = if header.layout.is_fortran() {
                "Fortran"
            } else {
                "C"
            };
            format!(
                "{} of shape {:?} in {order} order",
                header.type_descriptor.to_string().trim_matches('\''),
                header.shape
            )
        }
        Err(_) => "unknown".into(),
    }
}

fn range(s: &Statistics) -> String {
    format!(
        "{:.3} to {:.3}, mean {:.3}, standard deviation {:.3}",
        s.min, s.max, s.mean, s.std
    )
}

fn conventional(c: &MelConvention) -> String {
    format!("{} ({} Hz, hop {})", c.name, c.sample_rate, c.hop)
}

fn likely(guesses: &[Guess]) -> String {
    if guesses.is_empty() {
        return "none of the known conventions".into();
    }
    let line = |guess: &Guess| {
        let sure = match guess.likelihood {
            Likelihood::Strong => "",
            Likelihood::Possible => "perhaps ",
        };
        let advice = with_flags(&guess.advice);
        format!("{sure}{}: {}; {advice}", guess.name, guess.reason)
    };
    guesses.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn guess_json(guess: &Guess) -> serde_json::Value {
    json!({
        "name": guess.name,
        "strong": guess.likelihood == Likelihood::Strong,
        "reason": guess.reason,
        "advice": with_flags(&guess.advice),
    })
}

fn picture(mel: Mel, s: &Statistics) -> Picture {
    let (bands, frames) = (mel.n_mels() as f64, mel.frames() as f64);
    Picture {
        values: mel.into_values(),
        range: (s.min, s.max),
        x: Axis {
            end: frames,
            unit: "frame",
        },
        y: Axis {
            end: bands,
            unit: "band",
        },
        unit: "",
    }
}
