//! The most memory that this process has held.

use serde::Serialize;

/// Peak resident memory in MiB, read after each part of the measurements; `None` where the system does not tell.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Memory {
    /// With the model loaded, once.
    pub(super) loaded: Option<f64>,
    /// After the syntheses and the times to first audio.
    pub(super) syntheses: Option<f64>,
    /// After the streams.
    pub(super) streams: Option<f64>,
}

impl Memory {
    pub(super) fn words(&self) -> String {
        let parts = [
            (self.loaded, "with the model loaded"),
            (self.syntheses, "after the syntheses"),
            (self.streams, "after the streams"),
        ];
        let known: Vec<String> = parts
            .iter()
            .filter_map(|(peak, when)| Some(format!("{:.0} MiB {when}", (*peak)?)))
            .collect();
        match known.is_empty() {
            true => "not measured on this system".to_owned(),
            false => known.join(", "),
        }
    }
}

/// The peak so far, from `VmHWM` of Linux.
pub(super) fn peak_mib() -> Option<f64> {
    peak(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_where_there_is_one() {
        assert_eq!(peak("Name:\tvocode\nVmHWM:\t   2048 kB\n"), Some(2.0));
        assert_eq!(peak("Name:\tvocode\n"), None);
        assert_eq!(peak_mib().is_some(), cfg!(target_os = "linux"));
    }

    #[test]
    fn words_say_what_is_known() {
        let known = Memory {
            loaded: Some(50.4),
            syntheses: Some(70.0),
            streams: None,
        };
        assert_eq!(
            known.words(),
            "50 MiB with the model loaded, 70 MiB after the syntheses"
        );
        assert_eq!(Memory::default().words(), "not measured on this system");
    }
}
