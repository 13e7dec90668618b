use serde_json::json;

use super::findings::Findings;
use crate::bundle::{Bundle, Manifest, ScheduleSpec};
use crate::cli::error::CliError;
use crate::cli::output::table;
use crate::mel::Sharpening;

/// Everything in a model's manifest.
pub(super) fn inspect(bundle: &Bundle) -> Result<Findings, CliError> {
    let m = &bundle.manifest;
    let json = json!({
        "kind": "model",
        "sha256": bundle.sha256,
        "conditioner_bytes": bundle.conditioner.len(),
        "denoiser_bytes": bundle.denoiser.len(),
        "manifest": m,
    });
    let rows = [
        ("model", format!("{} {}", m.name, m.version)),
        ("description", m.description.clone()),
        ("licence", m.licence.clone()),
        ("training data", m.training_data.clone()),
        ("mel", mel(m)),
        ("diffusion", diffusion(m)),
        ("schedules", schedules(m)),
        (
            "context",
            format!(
                "{} frames each side for the denoiser, {} for the conditioner",
                m.context.denoiser, m.context.conditioner
            ),
        ),
        ("envelope", envelope(m)),
        ("consistency", consistency(m)),
        ("sharpening", sharpening(m)),
        ("sha256", bundle.sha256.clone()),
        (
            "conditioner",
            graph(bundle.conditioner.len(), &m.sha256.conditioner),
        ),
        ("denoiser", graph(bundle.denoiser.len(), &m.sha256.denoiser)),
    ];
    Ok(Findings {
        text: table(&rows),
        json,
        picture: None,
    })
}

fn mel(m: &Manifest) -> String {
    let spelled_out = toml::to_string(&m.mel).unwrap_or_default();
    spelled_out.trim_end().to_owned()
}

fn diffusion(m: &Manifest) -> String {
    let spelled_out = toml::to_string(&m.diffusion).unwrap_or_default();
    spelled_out.trim_end().to_owned()
}

fn schedules(m: &Manifest) -> String {
    let line = |(name, spec): (&String, &ScheduleSpec)| {
        let mark = match *name == m.schedules.default {
            true => " (default)",
            false => "",
        };
        // A struct of numbers, lists and names always serialises; a value of it is written in one line.
        let spec = toml::Value::try_from(spec).map(|spec| spec.to_string());
        format!("{name}{mark}: {}", spec.unwrap_or_default())
    };
    m.schedules
        .named
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

fn envelope(m: &Manifest) -> String {
    match &m.envelope {
        Some(e) => format!(
            "FFT {}, window {}, lifter {}, smoothing {} frames, equaliser of {} bins",
            e.fft,
            e.window,
            e.lifter,
            e.smooth,
            e.log_equaliser.len()
        ),
        None => "none: the diffusion runs on samples".into(),
    }
}

fn consistency(m: &Manifest) -> String {
    let Some(c) = &m.consistency else {
        return "none".into();
    };
    let times = match c.passes {
        1 => "once".to_owned(),
        passes => format!("{passes} times"),
    };
    let momentum = match c.momentum {
        0.0 => String::new(),
        momentum => format!(", with momentum {momentum}"),
    };
    format!("the audio is brought closer to its mel, {times}{momentum}")
}

fn sharpening(m: &Manifest) -> String {
    match m.sharpening {
        Some(Sharpening { bands }) => format!("mels are sharpened by {bands} across bands"),
        None => "none".into(),
    }
}

fn graph(bytes: usize, sha256: &str) -> String {
    format!("{:.2} MB, sha256 {sha256}", bytes as f64 / 1e6)
}
