//! One part of a batch: several processes, on one machine or many, share a list without talking to each other.

use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Part `index` of `count`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// Whether an input belongs to this part, by the hash of its name: the first 8 bytes of its SHA-256, big-endian, modulo the number of
    /// parts. So every process agrees, and a longer list leaves what is done where it was.
    pub(super) fn has(self, name: &str) -> bool {
        let digest = Sha256::digest(name.as_bytes());
        let (head, _) = digest.as_chunks::<8>();
        u64::from_be_bytes(head[0]) % self.count == self.index - 1
    }

    /// Put before the ending of a file of results, so that no two processes write to one.
    pub(super) fn infix(self) -> String {
        format!("{}-of-{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let parsed = text.split_once('/').and_then(|(index, count)| {
            let (index, count) = (index.parse().ok()?, count.parse().ok()?);
            (index >= 1 && index <= count).then_some(Shard { index, count })
        });
        parsed.ok_or_else(|| "expected I/N, with I from 1 to N, as in 3/8".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_belongs_to_one_part() {
        let parts: Vec<Shard> = (1..=5).map(|i| format!("{i}/5").parse().unwrap()).collect();
        let mut sizes = [0; 5];
        for input in 0..1000 {
            let name = format!("mels/{input}.npy");
            let own: Vec<usize> = (0..5).filter(|i| parts[*i].has(&name)).collect();
            assert_eq!(own.len(), 1, "{name}");
            sizes[own[0]] += 1;
        }
        assert!(
            sizes.iter().all(|size| (150..250).contains(size)),
            "{sizes:?}"
        );
    }

    #[test]
    fn the_hash_is_the_documented_one() {
        let digest = crate::hash::sha256(b"a.npy");
        let is_odd = u64::from_str_radix(&digest[..16], 16).unwrap() % 2 == 1;
        assert_eq!("2/2".parse::<Shard>().unwrap().has("a.npy"), is_odd);
    }

    #[test]
    fn parts_are_counted_from_one() {
        for bad in ["0/4", "5/4", "4", "a/4", "1/0", ""] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
