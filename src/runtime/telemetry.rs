//! The telemetry of ONNX Runtime's official builds, switched off before the library is loaded.
//!
//! Some builds write a device id below the home folder and look up a host of their vendor, whatever the session options
//! say. They read one variable of the environment, once, when they start (microsoft/onnxruntime#27379).

use std::env;
use std::sync::Once;

/// The variable that the library reads.
const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Sets `ORT_DISABLE_TELEMETRY=1` in the environment of this process, unless the variable is set already.
///
/// [`Runtime::load`](super::Runtime::load) does this too. A program that starts threads before it loads the runtime calls
/// this function first, at the start of `main`, or is started with the variable set: changing the environment while
/// another thread reads it through the C library is a data race on some systems.
pub fn disable_telemetry() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if env::var_os(VARIABLE).is_some() {
            return;
        }
        // SAFETY: `set_var` is unsound only while another thread reads or writes the environment outside of `std::env`,
        // whose own functions share a lock. The program calls this as the first statement of `main`, while it has one
        // thread. In another program this runs at most once, before ONNX Runtime (the reader that it is for) is mapped;
        // the documentation above tells its author to call it before starting threads that read the environment in C.
        unsafe { env::set_var(VARIABLE, "1") };
    });
}
