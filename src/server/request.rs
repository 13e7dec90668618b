//! From the words of a request to a stream that is open.

use tonic::Status;
use uuid::Uuid;

use super::call::Call;
use super::decoding::MelDecoder;
use super::health::is_hung;
use super::models::Model;
use super::shared::{Share, Shared};
use super::status::{beyond, invalid, of_audio, of_vocoder, unavailable};
use super::wire_mel::FrameLimit;
use crate::audio::{Encoding, Provenance, SampleFormat, StreamEncoder};
use crate::diffusion::{Corrector, Grid, Solver, SolverKind};
use crate::mel::{MelConvention, MelError, Sharpening};
use crate::proto::{self, AudioEncoding};
use crate::vocoder::{
    AudioOutput, MelInput, OpenStream, Output, ScheduleChoice, StreamClass, StreamRequest,
    StreamStart,
};

/// Bytes of a request id: enough for any scheme of ids, short enough for a log line.
const MAX_REQUEST_ID: usize = 128;
/// Bytes of the name of a model, a schedule or a convention: a longer one is none of the server's, and is not repeated in answers and logs.
const MAX_NAME: usize = 128;

/// Names a call in the logs: as its caller does, or anew.
pub(super) fn identify(call: &Call, request_id: String) -> Result<String, Status> {
    if request_id.len() > MAX_REQUEST_ID || !request_id.chars().all(is_visible) {
        return Err(invalid(
            "request_id",
            format!(
                "a request id has at most {MAX_REQUEST_ID} bytes, and none that cannot be seen"
            ),
        ));
    }
    let id = match request_id.is_empty() {
        true => Uuid::new_v4().to_string(),
        false => request_id,
    };
    call.span().record("request_id", &id);
    Ok(id)
}

/// Whether a log shows a character as what it is: control characters and those that change the direction of what follows it does not.
fn is_visible(c: char) -> bool {
    let directs = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !directs
}

/// What a config asks for.
pub(super) struct Order<'a> {
    /// Brings the mel to the model's convention.
    pub decoder: MelDecoder<'a>,
    model: &'a Model,
    encoding: Encoding,
    wire: AudioEncoding,
    request: StreamRequest,
}

/// A stream that is open, at the end where its audio comes out.
pub(super) struct Opened {
    pub header: proto::StreamHeader,
    pub encoding: Encoding,
    pub encoder: StreamEncoder,
    pub output: AudioOutput,
    /// Sample of the clip that it begins with.
    pub first_sample: u64,
    pub share: Share,
}

impl<'a> Order<'a> {
    pub fn read(
        shared: &'a Shared,
        call: &Call,
        config: proto::SynthesisConfig,
    ) -> Result<Order<'a>, Status> {
        check_names(&config)?;
        let models = shared.models()?;
        let model = models.get(&config.model)?;
        call.facts().model = Some(model.name.clone());
        let (encoding, wire) = encoding(config.encoding)?;
        let start = start(&config, encoding, model, shared.limits.max_stream_frames)?;
        let elsewhere = |refusal: &MelError| {
            let other = models.taking_refused(model, refusal)?;
            Some(other.name.as_str())
        };
        let decoder = MelDecoder::new(&config, &model.manifest().mel, Box::new(elsewhere))?;
        if start.frame > 0 {
            decoder.of_pieces()?;
        }
        let given = |value: u32| (value != 0).then_some(value);
        let frames = |value: u32| given(value).map(|frames| frames as usize);
        let request = StreamRequest {
            schedule: schedule(config.schedule),
            solver: config.solver.map(solver).transpose()?,
            seed: config.seed.unwrap_or(0),
            sample_rate: given(config.sample_rate_hz),
            first_chunk_frames: frames(config.first_chunk_frames),
            chunk_frames: frames(config.chunk_frames),
            shift_samples: decoder.shift_samples(),
            start,
            class: StreamClass::RealTime,
            watermark: shared.marks.choose(config.watermark, model.sha256())?,
            sharpening: config.sharpen.map(|bands| Sharpening { bands }),
        };
        check_steps(model, &request, shared.limits.max_steps)?;
        Ok(Order {
            decoder,
            model,
            encoding,
            wire,
            request,
        })
    }

    /// Opens the stream; `frames` is the length of the mel where it is known.
    pub fn open(
        &mut self,
        shared: &Shared,
        call: &Call,
        request_id: String,
        frames: Option<usize>,
    ) -> Result<(Opened, MelInput), Status> {
        if is_hung(self.model, shared.limits.model_timeout) {
            return Err(unavailable("the model does not answer"));
        }
        let share = shared.place(call, self.model, &mut self.request)?;
        let OpenStream {
            plan,
            input,
            output,
        } = self.model.open(&self.request)?;
        let mut encoder =
            StreamEncoder::new(self.encoding, plan.sample_rate).map_err(|e| of_audio(&e))?;
        let total_samples = frames.map(|frames| self.samples(frames, plan.sample_rate));
        if let Some(samples) = total_samples {
            encoder.describe(samples, Provenance::default());
        }
        let header = proto::StreamHeader {
            request_id,
            model: self.model.name.clone(),
            model_sha256: self.model.sha256().to_owned(),
            sample_rate_hz: plan.sample_rate,
            channels: 1,
            encoding: self.wire.into(),
            seed: plan.seed,
            schedule: plan.schedule,
            steps: plan.steps as u32,
            execution_provider: self.model.provider().to_owned(),
            total_samples,
            solver: plan.solver.to_string(),
            precision: self.model.precision().to_string(),
            warnings: Vec::new(),
            lead_frames: u32::try_from(plan.lead_frames).unwrap_or(u32::MAX),
            frames_per_second: frames_per_second(&self.model.manifest().mel),
            watermark: self.request.watermark.as_ref().map(|mark| mark.payload()),
        };
        let opened = Opened {
            header,
            encoding: self.encoding,
            encoder,
            output,
            first_sample: self.request.start.sample,
            share,
        };
        Ok((opened, input))
    }

    /// Samples to come where the mel of the call has `frames` frames.
    fn samples(&self, frames: usize, rate: u32) -> u64 {
        let mel = &self.model.manifest().mel;
        let (start, shift) = (self.request.start, self.request.shift_samples);
        let made = (start.frame as usize + frames) * mel.hop;
        let all = Output::samples(made, shift, mel.sample_rate, rate) as u64;
        all.saturating_sub(start.sample)
    }
}

fn frames_per_second(mel: &MelConvention) -> f64 {
    f64::from(mel.sample_rate) / mel.hop as f64
}

/// No name is repeated in an answer or a log that is too long to be one.
fn check_names(config: &proto::SynthesisConfig) -> Result<(), Status> {
    use proto::schedule::Kind;
    let schedule = match config.schedule.as_ref().and_then(|s| s.kind.as_ref()) {
        Some(Kind::Name(name)) => name,
        _ => "",
    };
    let solver = config.solver.as_ref().map_or("", |solver| &solver.name);
    let names = [
        ("config.model", config.model.as_str()),
        ("config.mel_convention", &config.mel_convention),
        ("config.schedule.name", schedule),
        ("config.solver", solver),
    ];
    match names.iter().find(|(_, name)| name.len() > MAX_NAME) {
        None => Ok(()),
        Some((field, name)) => Err(invalid(
            field,
            format!(
                "the name has {} bytes; one has at most {MAX_NAME}",
                name.len()
            ),
        )),
    }
}

/// The model's own default schedule may always be asked for, however many its steps.
fn check_steps(model: &Model, request: &StreamRequest, most: usize) -> Result<(), Status> {
    let steps = model.steps(request).map_err(|e| of_vocoder(&e))?;
    let default = model
        .steps(&StreamRequest::default())
        .map_err(|e| of_vocoder(&e))?;
    if steps <= most.max(default) {
        return Ok(());
    }
    Err(beyond(
        "config.schedule",
        format!(
            "the schedule takes {steps} denoiser calls for each sample, and the server makes {most} at most (Limits.max_steps): ask for fewer \
             steps"
        ),
    ))
}

/// Where in its clip the audio is to begin. Both numbers are held to a clip of the longest kind: what lies before a start takes time too.
fn start(
    config: &proto::SynthesisConfig,
    encoding: Encoding,
    model: &Model,
    most_frames: u64,
) -> Result<StreamStart, Status> {
    let start = StreamStart {
        frame: config.start_frame,
        sample: config.start_sample,
    };
    if start == StreamStart::default() {
        return Ok(start);
    }
    FrameLimit::Stream(most_frames).check("config.start_frame", start.frame)?;
    let mel = &model.manifest().mel;
    let rate = match config.sample_rate_hz {
        0 => mel.sample_rate,
        rate => rate,
    };
    let most =
        most_frames as u128 * mel.hop as u128 * u128::from(rate) / u128::from(mel.sample_rate);
    if u128::from(start.sample) > most {
        let found = start.sample;
        return Err(beyond(
            "config.start_sample",
            format!(
                "no clip has a sample {found}: the longest has {most} (Limits.max_stream_frames)"
            ),
        ));
    }
    if !matches!(
        encoding,
        Encoding::Pcm(_) | Encoding::MuLaw | Encoding::ALaw
    ) {
        return Err(invalid(
            "config.encoding",
            "a file does not begin in its middle: to go on from start_sample or start_frame, ask for PCM, mu-law or A-law",
        ));
    }
    Ok(start)
}

/// How audio is written that is asked for by a number of the contract, and that number.
pub(super) fn encoding(wire: i32) -> Result<(Encoding, AudioEncoding), Status> {
    let known = AudioEncoding::try_from(wire)
        .map_err(|_| invalid("config.encoding", format!("there is no encoding {wire}")))?;
    Ok(match known {
        AudioEncoding::Unspecified | AudioEncoding::PcmS16le => {
            (Encoding::Pcm(SampleFormat::S16), AudioEncoding::PcmS16le)
        }
        AudioEncoding::PcmF32le => (Encoding::Pcm(SampleFormat::F32), known),
        AudioEncoding::WavS16 => (Encoding::Wav(SampleFormat::S16), known),
        AudioEncoding::WavF32 => (Encoding::Wav(SampleFormat::F32), known),
        AudioEncoding::Mulaw => (Encoding::MuLaw, known),
        AudioEncoding::Alaw => (Encoding::ALaw, known),
        AudioEncoding::Flac => (Encoding::Flac, known),
        AudioEncoding::Opus => (Encoding::Opus, known),
    })
}

fn schedule(wire: Option<proto::Schedule>) -> ScheduleChoice {
    use proto::schedule::Kind;
    match wire.and_then(|schedule| schedule.kind) {
        None => ScheduleChoice::Default,
        Some(Kind::Name(name)) if name.is_empty() => ScheduleChoice::Default,
        Some(Kind::Name(name)) => ScheduleChoice::Named(name),
        Some(Kind::Steps(steps)) => ScheduleChoice::Steps(steps as usize),
        Some(Kind::Times(times)) => ScheduleChoice::Custom(Grid::Times(times.values).into()),
        Some(Kind::Betas(betas)) => ScheduleChoice::Custom(Grid::Betas(betas.values).into()),
    }
}

fn solver(wire: proto::Solver) -> Result<Solver, Status> {
    let corrector = wire.corrector.map(|corrector| Corrector {
        steps: corrector.steps as usize,
        snr: corrector.snr,
    });
    let kind = wire.name.parse::<SolverKind>();
    kind.and_then(|kind| kind.with(wire.eta, corrector))
        .map_err(|error| invalid("config.solver", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_a_log_would_not_show_as_they_are_are_refused() {
        for plain in ["a-test", "ä/1", "日本"] {
            assert!(plain.chars().all(is_visible), "{plain}");
        }
        for odd in [
            "a\u{202e}b",
            "\u{2066}",
            "\u{200f}",
            "a\nb",
            "\u{1b}[2J",
            "\u{85}",
        ] {
            assert!(!odd.chars().all(is_visible), "{odd:?}");
        }
    }
}
