//! The watermarks of a server: which calls get one, and what it says.

use tonic::Status;

use super::status::invalid;
use crate::proto;
use crate::watermark::{Key, Watermark};

/// What a server is told of watermarks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Marking {
    /// The key of all of them.
    pub key: Key,
    /// Which calls get one.
    pub calls: MarkedCalls,
}

/// Which calls get a watermark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MarkedCalls {
    /// Those that ask for it.
    #[default]
    Asking,
    /// All, and calls that want none are refused. `None`: what each call says, else a hash of the model and the key.
    All(Option<u32>),
}

impl Marking {
    /// Watermarks under `key`, for these calls.
    pub fn new(key: Key, calls: MarkedCalls) -> Marking {
        Marking { key, calls }
    }
}

/// [`Marking`], ready for calls.
pub(super) struct Marks {
    calls: MarkedCalls,
    /// One with the key, for what others are to say.
    any: Watermark,
}

impl Marks {
    pub fn new(marking: &Marking) -> Marks {
        Marks {
            calls: marking.calls,
            any: Watermark::new(&marking.key, 0),
        }
    }

    /// The watermark of a call for the model with this hash.
    pub fn choose(
        &self,
        asked: Option<proto::Watermark>,
        model_sha256: &str,
    ) -> Result<Option<Watermark>, Status> {
        let said = asked.and_then(|asked| asked.payload);
        let payload = match (self.calls, asked.map(|asked| asked.enabled)) {
            (MarkedCalls::Asking, None | Some(false)) => return Ok(None),
            (MarkedCalls::All(_), Some(false)) => {
                return Err(invalid(
                    "config.watermark.enabled",
                    "this server puts a watermark into the audio of all calls: leave config.watermark out",
                ));
            }
            (MarkedCalls::All(Some(own)), _) => {
                if said.is_some_and(|said| said != own) {
                    return Err(invalid(
                        "config.watermark.payload",
                        format!(
                            "this server's watermarks say {own:08x}: leave config.watermark.payload out"
                        ),
                    ));
                }
                Some(own)
            }
            (MarkedCalls::Asking | MarkedCalls::All(None), _) => said,
        };
        Ok(Some(match payload {
            Some(payload) => self.any.saying(payload),
            None => self.any.saying_usual(model_sha256),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    fn choose(calls: MarkedCalls, asked: Option<(bool, Option<u32>)>) -> Result<Option<u32>, Code> {
        let marks = Marks::new(&Marking::new(Key::public(), calls));
        let asked = asked.map(|(enabled, payload)| proto::Watermark { enabled, payload });
        let chosen = marks.choose(asked, "aa").map_err(|status| status.code())?;
        Ok(chosen.map(|watermark| watermark.payload()))
    }

    #[test]
    fn a_call_gets_what_it_asks_for() {
        let usual = Watermark::usual_payload("aa", &Key::public());
        assert_eq!(choose(MarkedCalls::Asking, None), Ok(None));
        assert_eq!(
            choose(MarkedCalls::Asking, Some((false, Some(1)))),
            Ok(None)
        );
        assert_eq!(
            choose(MarkedCalls::Asking, Some((true, None))),
            Ok(Some(usual))
        );
        assert_eq!(
            choose(MarkedCalls::Asking, Some((true, Some(7)))),
            Ok(Some(7))
        );
    }

    #[test]
    fn a_server_that_marks_all_does_not_go_without() {
        let usual = Watermark::usual_payload("aa", &Key::public());
        assert_eq!(choose(MarkedCalls::All(None), None), Ok(Some(usual)));
        assert_eq!(
            choose(MarkedCalls::All(None), Some((true, Some(7)))),
            Ok(Some(7))
        );
        assert_eq!(choose(MarkedCalls::All(Some(9)), None), Ok(Some(9)));
        assert_eq!(
            choose(MarkedCalls::All(Some(9)), Some((true, Some(9)))),
            Ok(Some(9))
        );
        for (calls, asked) in [
            (MarkedCalls::All(None), (false, None)),
            (MarkedCalls::All(Some(9)), (false, None)),
            (MarkedCalls::All(Some(9)), (true, Some(7))),
        ] {
            assert_eq!(
                choose(calls, Some(asked)),
                Err(Code::InvalidArgument),
                "{calls:?}"
            );
        }
    }
}
