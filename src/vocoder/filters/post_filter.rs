//! What is done once to finished samples: in the excitation domain the mel's spectral envelope, then the passes that enforce the mel, the last
//! of which puts a watermark in, and silence where the mel is silent.

use crate::bundle::Manifest;
use crate::dsp::{
    ConsistencyFilter, ConsistencyPasses, DspError, EnvelopeFilter, Filtering, MarkFilter,
    MelFilter, SilenceStream, Watermark,
};
use crate::mel::MelConvention;
use crate::vocoder::error::VocoderError;
use ndarray::ArrayView2;

/// The filters of a bundle. Cheap to clone.
#[derive(Clone)]
pub(in crate::vocoder) struct Filters {
    envelope: Option<EnvelopeFilter>,
    consistency: Option<ConsistencyFilter>,
    mark: MarkFilter,
    convention: MelConvention,
}

impl Filters {
    pub fn new(manifest: &Manifest) -> Result<Filters, DspError> {
        let mel = &manifest.mel;
        let envelope = manifest.envelope.as_ref();
        let consistency = manifest.consistency.as_ref();
        Ok(Filters {
            envelope: envelope.map(|p| EnvelopeFilter::new(mel, p)).transpose()?,
            consistency: consistency
                .map(|p| ConsistencyFilter::new(mel, p))
                .transpose()?,
            mark: MarkFilter::new(mel),
            convention: mel.clone(),
        })
    }

    /// The same with `passes` of mel consistency, in a model that has it.
    ///
    /// # Errors
    /// [`DspError::Consistency`] for a number out of its range.
    pub fn with_passes(&self, passes: usize) -> Result<Filters, DspError> {
        let consistency = self.consistency.as_ref();
        Ok(Filters {
            consistency: consistency.map(|f| f.with_passes(passes)).transpose()?,
            ..self.clone()
        })
    }

    /// Whether a watermark is put in by the passes that there are, whose windows begin with frames of the mel.
    pub fn carry_marks(&self) -> bool {
        self.consistency.is_some() && self.mark.rides()
    }

    /// Frames of mel and samples on each side of a sample that it depends on.
    pub fn reach(&self) -> usize {
        let envelope = self
            .envelope
            .as_ref()
            .map_or(0, EnvelopeFilter::lookahead_frames);
        let consistency = self.consistency.as_ref();
        let held = envelope + consistency.map_or(0, |f| f.passes() * f.lookahead_frames());
        // What held the samples back has the mel that silence is told by.
        held.max(SilenceStream::lookahead_frames())
    }
}

/// The filters at work on one clip.
pub(in crate::vocoder) struct PostFilter {
    stages: Vec<Box<dyn MelFilter>>,
    ended: bool,
}

impl PostFilter {
    /// The filters of a clip whose sample `origin` is the first that will come.
    pub fn new(filters: &Filters, watermark: Option<&Watermark>, origin: u64) -> PostFilter {
        let mut stages: Vec<Box<dyn MelFilter>> = Vec::new();
        if let Some(filter) = &filters.envelope {
            stages.push(Box::new(filter.stream(Filtering::Unwhiten)));
        }
        let mut passes = filters.consistency.as_ref().map(ConsistencyFilter::stream);
        let last = passes.as_mut().and_then(ConsistencyPasses::last_mut);
        let own = watermark.and_then(|mark| filters.mark.put_in(mark, last, origin));
        if let Some(passes) = passes {
            stages.push(Box::new(passes));
        }
        if let Some(stream) = own {
            stages.push(Box::new(stream));
        }
        stages.push(Box::new(SilenceStream::new(&filters.convention)));
        PostFilter {
            stages,
            ended: false,
        }
    }

    /// Takes further mel frames, which must arrive before the samples that they shape can leave.
    pub fn push_mel(&mut self, mel: ArrayView2<'_, f32>) -> Result<(), VocoderError> {
        for stage in &mut self.stages {
            stage.push_mel(mel)?;
        }
        Ok(())
    }

    /// Says that the mel is complete.
    pub fn end_mel(&mut self) {
        for stage in &mut self.stages {
            stage.end_mel();
        }
    }

    /// Takes finished samples and appends to `out` those that need nothing further; with `last`, all. What comes after the last is ignored.
    pub fn push(
        &mut self,
        samples: &[f32],
        last: bool,
        out: &mut Vec<f32>,
    ) -> Result<(), VocoderError> {
        if self.ended {
            return Ok(());
        }
        self.ended = last;
        let mut finished = samples.to_vec();
        for stage in &mut self.stages {
            let mut next = Vec::with_capacity(finished.len());
            stage.push_samples(&finished, &mut next);
            if last {
                stage.finish(&mut next)?;
            }
            finished = next;
        }
        out.append(&mut finished);
        Ok(())
    }
}
