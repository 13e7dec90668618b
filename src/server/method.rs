//! What callers can ask for.

/// What is asked for, one of a few: what callers send does not become a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Info,
    Whole,
    Stream,
    Live,
    /// Another path of the gRPC service.
    Unknown,
    /// VocodeStream over HTTP.
    HttpVocode,
    /// A recording to its mel, over HTTP.
    HttpMel,
    /// GetInfo over HTTP.
    HttpInfo,
}

impl Method {
    const OF_GRPC: [Method; 4] = [Method::Info, Method::Whole, Method::Stream, Method::Live];

    /// That of a path of the gRPC service.
    pub fn of_grpc(path: &str) -> Method {
        let name = path.rsplit('/').next().unwrap_or_default();
        let found = Method::OF_GRPC
            .into_iter()
            .find(|method| method.name() == name);
        found.unwrap_or(Method::Unknown)
    }

    pub fn name(self) -> &'static str {
        match self {
            Method::Info => "GetInfo",
            Method::Whole => "Vocode",
            Method::Stream => "VocodeStream",
            Method::Live => "VocodeLive",
            Method::Unknown => "unknown",
            Method::HttpVocode => "POST /v1/vocode",
            Method::HttpMel => "POST /v1/mel",
            Method::HttpInfo => "GET /v1/info",
        }
    }

    /// The verb and the path of one that comes over HTTP alone.
    pub fn http(self) -> Option<(&'static str, &'static str)> {
        self.name().split_once(' ')
    }

    /// Whether a stream is opened for it.
    pub fn synthesizes(self) -> bool {
        matches!(
            self,
            Method::Whole | Method::Stream | Method::Live | Method::HttpVocode
        )
    }

    /// Whether it counts among its caller's calls, of which there may be so many at once.
    pub fn is_work(self) -> bool {
        self.synthesizes() || self == Method::HttpMel
    }

    /// Whether the answer is one message.
    pub fn is_whole(self) -> bool {
        !matches!(self, Method::Stream | Method::Live | Method::HttpVocode)
    }
}
