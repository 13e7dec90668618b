//! Calls that are made again.

use std::time::Duration;

use tokio::time::sleep;

use super::ClientError;

/// Calls in a row that may fail.
const ATTEMPTS: u32 = 10;
/// The pause after the first of them; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a call has failed since it last came forward.
#[derive(Default)]
pub(super) struct Tries {
    failed: u32,
}

impl Tries {
    /// Waits before the next call: as long as the server says, or longer each time.
    ///
    /// # Errors
    /// `error` itself, where another call would fare no better or enough were made.
    pub async fn pause(&mut self, error: ClientError) -> Result<(), ClientError> {
        if !error.is_of_transport() || self.failed >= ATTEMPTS {
            return Err(error);
        }
        let pause = FIRST_PAUSE * 2u32.saturating_pow(self.failed);
        self.failed += 1;
        sleep(error.retry_delay().unwrap_or(pause).min(LONGEST_PAUSE)).await;
        Ok(())
    }
}
