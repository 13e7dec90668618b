//! 32 bits, protected: a CRC of 16 bits, and the CCSDS telecommand LDPC code of 128 bits for 64 (CCSDS 231.0-B), shortened by 16.

use crc::{CRC_16_IBM_3740, Crc};
use labrador_ldpc::LDPCCode;

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);
const CODE: LDPCCode = LDPCCode::TC128;
const CODE_BYTES: usize = 16;
/// Bits of payload and CRC; the rest of the code's 64 are zero, and are not sent.
const SENT: usize = 48;
const INFORMATION: usize = 64;
/// Bits that are sent.
pub(crate) const CODE_BITS: usize = 112;
/// Passes of messages after which decoding gives up.
const MAX_PASSES: usize = 100;

/// The code's places of the bits that are sent.
fn places() -> impl Iterator<Item = usize> {
    (0..SENT).chain(INFORMATION..8 * CODE_BYTES)
}

/// The bits to be sent for a payload.
pub(super) fn encode(payload: u32) -> [bool; CODE_BITS] {
    let mut data = [0; INFORMATION / 8];
    data[..4].copy_from_slice(&payload.to_be_bytes());
    data[4..6].copy_from_slice(&CRC.checksum(&payload.to_be_bytes()).to_be_bytes());
    let mut word = [0u8; CODE_BYTES];
    CODE.copy_encode(&data, &mut word);
    let mut bits = [false; CODE_BITS];
    for (bit, place) in bits.iter_mut().zip(places()) {
        *bit = word[place / 8] >> (7 - place % 8) & 1 == 1;
    }
    bits
}

/// The payload whose bits were received so: positive is a 0, negative a 1, and the larger the surer, on any scale. `None` where the code or
/// the CRC does not come out.
pub(crate) fn decode(soft: &[f32; CODE_BITS]) -> Option<u32> {
    let largest = soft.iter().fold(0f32, |most, v| most.max(v.abs()));
    if !(largest > 0.0 && largest.is_finite()) {
        return None;
    }
    // What was not sent is known to be zero.
    let mut llrs = [8.0f32; 8 * CODE_BYTES];
    for (value, place) in soft.iter().zip(places()) {
        llrs[place] = value / largest;
    }
    let mut word = vec![0; CODE.output_len()];
    let mut working = vec![0.0f32; CODE.decode_ms_working_len()];
    let mut working_bytes = vec![0; CODE.decode_ms_working_u8_len()];
    let (done, _) = CODE.decode_ms(
        &llrs,
        &mut word,
        &mut working,
        &mut working_bytes,
        MAX_PASSES,
    );
    let payload = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
    let crc = u16::from_be_bytes([word[4], word[5]]);
    (done && CRC.checksum(&payload.to_be_bytes()) == crc).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn received(payload: u32) -> [f32; CODE_BITS] {
        encode(payload).map(|bit| if bit { -1.0 } else { 1.0 })
    }

    proptest! {
        #[test]
        fn a_payload_comes_back_with_bits_missing_and_wrong(payload: u32, at in 0..CODE_BITS, scale in 1e-6f32..1e6) {
            let mut soft = received(payload).map(|v| v * scale);
            for n in 0..30 {
                soft[(at + 7 * n) % CODE_BITS] *= if n % 5 == 0 { -0.3 } else { 0.0 };
            }
            prop_assert_eq!(decode(&soft), Some(payload));
        }
    }

    #[test]
    fn noise_is_no_payload() {
        let mut state = 1u64;
        for _ in 0..300 {
            let soft = [0.0; CODE_BITS].map(|_: f32| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 40) as f32 / (1 << 24) as f32 - 0.5
            });
            assert_eq!(decode(&soft), None);
        }
        assert_eq!(decode(&[0.0; CODE_BITS]), None);
        assert_eq!(decode(&[f32::NAN; CODE_BITS]), None);
        assert_eq!(decode(&[f32::INFINITY; CODE_BITS]), None);
    }
}
