//! Mels as messages.

use bytes::Bytes;

use crate::mel::Mel;
use crate::proto;

/// A mel in the order in which its frames are made.
pub fn wire_mel(mel: &Mel) -> proto::Mel {
    let view = mel.view();
    let values = view
        .columns()
        .into_iter()
        .flat_map(|frame| frame.into_iter().copied().collect::<Vec<f32>>());
    let data: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    proto::Mel {
        n_mels: u32::try_from(mel.n_mels()).unwrap_or(u32::MAX),
        n_frames: u32::try_from(mel.frames()).unwrap_or(u32::MAX),
        layout: proto::MelLayout::FramesFirst.into(),
        data_f32le: Bytes::from(data),
        npy_bytes: Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn frames_travel_one_after_another() {
        let mel = wire_mel(&Mel::new(array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).unwrap());
        assert_eq!((mel.n_mels, mel.n_frames), (2, 3));
        let values: Vec<f32> = mel
            .data_f32le
            .chunks(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        assert_eq!(values, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
