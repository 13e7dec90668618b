//! FLAC, block by block.

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, Stream, StreamInfo};
use flacenc::config::Encoder;
use flacenc::error::{Verified, Verify};
use flacenc::source::{Fill, FrameBuf};

use super::{AudioError, Provenance};

/// Samples in a block, but for the last: short enough that a stream is heard early, 46 ms at 22,050 Hz.
const BLOCK: usize = 1024;
const BITS: usize = 16;

/// A mono FLAC stream of 16-bit samples.
pub(super) struct Flac {
    config: Verified<Encoder>,
    info: StreamInfo,
    buffer: FrameBuf,
    pending: Vec<i32>,
    frames: usize,
}

impl Flac {
    pub fn new(sample_rate: u32) -> Result<Flac, AudioError> {
        let mut config = Encoder::default();
        config.block_size = BLOCK;
        let config = config
            .into_verified()
            .map_err(|(_, error)| failed(&error))?;
        let mut info = StreamInfo::new(sample_rate as usize, 1, BITS).map_err(|e| failed(&e))?;
        info.set_block_sizes(BLOCK, BLOCK).map_err(|e| failed(&e))?;
        Ok(Flac {
            config,
            info,
            buffer: FrameBuf::with_size(1, BLOCK).map_err(|e| failed(&e))?,
            pending: Vec::new(),
            frames: 0,
        })
    }

    /// The head of the stream, which leaves length and checksum open.
    pub fn header(&self) -> Result<Vec<u8>, AudioError> {
        let mut sink = ByteSink::new();
        let stream = Stream::with_stream_info(self.info.clone());
        stream.write(&mut sink).map_err(|e| failed(&e))?;
        Ok(sink.into_inner())
    }

    /// Takes further samples of 16 bits and appends the blocks that they fill; returns the samples in these.
    pub fn push(&mut self, samples: &[i32], bytes: &mut Vec<u8>) -> Result<usize, AudioError> {
        self.pending.extend_from_slice(samples);
        let pending = std::mem::take(&mut self.pending);
        let blocks = pending.chunks_exact(BLOCK);
        self.pending = blocks.remainder().to_vec();
        for block in blocks {
            self.block(block, bytes)?;
        }
        Ok(pending.len() - self.pending.len())
    }

    /// Appends what is left as a last, shorter block; returns the samples in it.
    pub fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<usize, AudioError> {
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() {
            self.block(&rest, bytes)?;
        }
        Ok(rest.len())
    }

    fn block(&mut self, samples: &[i32], bytes: &mut Vec<u8>) -> Result<(), AudioError> {
        self.buffer
            .fill_interleaved(samples)
            .map_err(|e| failed(&e))?;
        let frame =
            flacenc::encode_fixed_size_frame(&self.config, &self.buffer, self.frames, &self.info)
                .map_err(|e| failed(&e))?;
        let mut sink = ByteSink::new();
        frame.write(&mut sink).map_err(|e| failed(&e))?;
        bytes.extend(sink.into_inner());
        self.frames += 1;
        Ok(())
    }
}

/// Writes the number of samples into the header of a whole file: 36 bits from the middle of the 22nd byte on.
pub(super) fn set_length(file: &mut [u8], samples: u64) {
    const AT: usize = 21;
    let length = samples.to_be_bytes();
    if let Some(field) = file.get_mut(AT..AT + 5) {
        field[0] = (field[0] & 0xf0) | (length[3] & 0x0f);
        field[1..].copy_from_slice(&length[4..]);
    }
}

/// Puts texts into a whole file or the head of one, as a Vorbis comment (RFC 9639, 8.6) behind the first block of metadata, which is alone so far.
pub(super) fn set_comments(file: &mut Vec<u8>, provenance: &Provenance) {
    /// Bytes of the signature, and of the first block with its header.
    const SIGNATURE: usize = 4;
    const FIRST: usize = SIGNATURE + 4 + 34;
    const LAST: u8 = 0x80;
    const VORBIS_COMMENT: u8 = 4;
    if provenance.fields.is_empty() || file.len() < FIRST {
        return;
    }
    let fields = provenance.fields.iter();
    let comments = fields.map(|(id, value)| format!("{}={value}", id.vorbis()));
    // The name of the encoder comes first.
    let mut block = counted("flacenc");
    block.extend((provenance.fields.len() as u32).to_le_bytes());
    block.extend(comments.flat_map(|comment| counted(&comment)));
    file[SIGNATURE] &= !LAST;
    let mut whole = vec![LAST | VORBIS_COMMENT];
    whole.extend(&(block.len() as u32).to_be_bytes()[1..]);
    whole.extend(block);
    file.splice(FIRST..FIRST, whole);
}

/// A text behind its length.
fn counted(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u32).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn failed(error: &dyn std::fmt::Display) -> AudioError {
    AudioError::Flac {
        reason: error.to_string(),
    }
}
