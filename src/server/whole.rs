//! A mel that came whole, on its way to audio: what Vocode, VocodeStream and the same over HTTP have in common.

use std::sync::Arc;

use ndarray::Array2;
use tokio::task::block_in_place;
use tonic::Status;

use super::call::Call;
use super::request::{Opened, Order, identify};
use super::shared::Shared;
use super::status::{invalid, of_vocoder};
use super::synthesis::{Answer, Event, Events, Synthesis, answer};
use super::wire_mel::{FrameLimit, held_bytes};
use crate::proto;
use crate::vocoder::{MelInput, VocoderError};

/// What a caller sends with a whole mel.
pub(super) struct Whole {
    pub request_id: String,
    pub config: Option<proto::SynthesisConfig>,
    pub mel: Option<proto::Mel>,
}

impl Whole {
    /// Opens the stream; returns the mel in the model's convention too, as `[n_mels, frames]`.
    pub fn open(
        self,
        shared: &Shared,
        call: &Call,
        limit: FrameLimit,
    ) -> Result<(Opened, MelInput, Array2<f32>), Status> {
        let id = identify(call, self.request_id)?;
        let mel = self
            .mel
            .ok_or_else(|| invalid("mel", "the request has no mel"))?;
        let mut order = Order::read(shared, call, self.config.unwrap_or_default())?;
        call.charge(&shared.budget, held_bytes(&mel))?;
        // Millions of values take long enough to keep other calls from their audio.
        let prepared = block_in_place(|| order.decoder.whole(&mel, limit))?;
        for note in &prepared.notes {
            tracing::warn!("{note}");
        }
        let (mut opened, input) = order.open(shared, call, id, Some(prepared.mel.frames()))?;
        opened.header.warnings = prepared.notes;
        Ok((opened, input, prepared.mel.into_values()))
    }

    /// Opens the stream, and answers with its audio as it is made.
    pub fn answer<R>(self, shared: &Arc<Shared>, call: Call) -> Result<Answer<R>, Status>
    where
        R: From<Event> + Send + 'static,
    {
        let limit = FrameLimit::Stream(shared.limits.max_stream_frames);
        let (opened, input, mel) = self.open(shared, &call, limit)?;
        let synthesis = Synthesis::new(call.clone(), opened);
        let work = async move |events: Events| {
            tokio::try_join!(feed(input, mel), synthesis.deliver(&events)).map(|_| ())
        };
        Ok(answer(shared.clone(), call, work))
    }
}

/// Hands a whole mel over, at the pace at which it is used.
pub(super) async fn feed(mut input: MelInput, mel: Array2<f32>) -> Result<(), Status> {
    if push(&mut input, mel).await? {
        input.end();
    }
    Ok(())
}

/// Pushes frames. False when the stream has ended early: the end where its audio comes out tells why.
pub(super) async fn push(input: &mut MelInput, mel: Array2<f32>) -> Result<bool, Status> {
    match input.push(mel).await {
        Ok(()) => Ok(true),
        Err(VocoderError::Stopped) => Ok(false),
        Err(error) => Err(of_vocoder(&error)),
    }
}
