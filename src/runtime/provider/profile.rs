//! The shapes that a graph will be given, for providers that build engines for them.

use serde::{Deserialize, Serialize};

/// The shapes of all inputs of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// One for each input.
    pub inputs: Vec<InputProfile>,
}

/// The shapes of one input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputProfile {
    /// The input's name.
    pub name: String,
    /// The least of each dimension.
    pub least: Vec<usize>,
    /// The shape that is to be fastest.
    pub usual: Vec<usize>,
    /// The most of each dimension.
    pub most: Vec<usize>,
}

impl Profile {
    /// Least, usual and greatest shapes as TensorRT's provider reads them: `x:1x4096,t:1`.
    pub fn words(&self) -> [String; 3] {
        let list = |of: fn(&InputProfile) -> &[usize]| {
            let word = |input: &InputProfile| {
                let sizes: Vec<_> = of(input).iter().map(ToString::to_string).collect();
                format!("{}:{}", input.name, sizes.join("x"))
            };
            self.inputs.iter().map(word).collect::<Vec<_>>().join(",")
        };
        [
            list(|input| &input.least),
            list(|input| &input.usual),
            list(|input| &input.most),
        ]
    }
}

impl InputProfile {
    /// Whether a shape is within the least and the most.
    pub(in crate::runtime) fn holds(&self, shape: &[usize]) -> bool {
        let ends = self.least.iter().zip(&self.most);
        self.least.len() == shape.len()
            && shape
                .iter()
                .zip(ends)
                .all(|(size, (least, most))| (least..=most).contains(&size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_held_between_its_ends() {
        let input = InputProfile {
            name: "x".to_owned(),
            least: vec![1, 4096],
            usual: vec![1, 20480],
            most: vec![8, 65536],
        };
        for (shape, is_held) in [
            (&[1, 4096][..], true),
            (&[8, 65536], true),
            (&[9, 4096], false),
            (&[1, 4095], false),
            (&[1], false),
        ] {
            assert_eq!(input.holds(shape), is_held, "{shape:?}");
        }
    }

    #[test]
    fn shapes_are_written_as_tensorrt_reads_them() {
        let input = |name: &str, sizes: [&[usize]; 3]| InputProfile {
            name: name.to_owned(),
            least: sizes[0].to_vec(),
            usual: sizes[1].to_vec(),
            most: sizes[2].to_vec(),
        };
        let profile = Profile {
            inputs: vec![
                input("x", [&[1, 4096], &[1, 20480], &[8, 65536]]),
                input("t", [&[1], &[1], &[8]]),
            ],
        };
        assert_eq!(
            profile.words(),
            ["x:1x4096,t:1", "x:1x20480,t:1", "x:8x65536,t:8"]
        );
    }
}
