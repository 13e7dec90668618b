//! The flags behind the fields that the library's messages name.

use std::borrow::Cow;

use crate::bundle::BuiltIn;
use crate::mel::MelError;

/// Fields as the library calls them, and their flags.
const FLAGS: [(&str, &str); 23] = [
    ("`approximate_mel`", "--approximate-mel"),
    ("`api_keys`", "--api-keys"),
    ("`device`", "--device"),
    ("`engine_cache`", "--engine-cache"),
    ("`fp16`", "--fp16"),
    ("`layout`", "--layout"),
    ("`http`", "--http"),
    ("`listen`", "--listen"),
    ("`mel_convention`", "--mel-convention"),
    ("`memory_limit`", "--memory-limit"),
    ("`metrics`", "--metrics"),
    ("`model`", "--model"),
    ("`model_provider`", "--model-provider"),
    ("`ort_lib`", "--ort-lib"),
    ("`precision`", "--precision"),
    ("`provider`", "--provider"),
    ("`restore`", "--restore auto"),
    ("`tf32`", "--tf32"),
    ("`threads`", "--threads"),
    ("`tls_cert`", "--tls-cert"),
    ("`tls_client_ca`", "--tls-client-ca"),
    ("`tls_key`", "--tls-key"),
    ("`trim_padding`", "--trim-padding"),
];

/// A message of the library with the flags of the command line in place of the fields in backquotes.
pub(super) fn with_flags(message: &str) -> Cow<'_, str> {
    FLAGS.iter().fold(
        Cow::Borrowed(message),
        |message, (field, flag)| match message.contains(field) {
            true => Cow::Owned(message.replace(field, flag)),
            false => message,
        },
    )
}

/// What is wrong with a mel, and the command that makes it again where the mel is of a kind that does not convert exactly.
pub(super) fn mel_problem(error: &MelError) -> String {
    match error {
        MelError::Incompatible { to, .. } | MelError::TooFar { to, .. } => {
            format!("{error} (`vocode mel IN.wav --mel-convention {to}` makes one)")
        }
        _ => error.to_string(),
    }
}

/// The built-in model that takes a mel which another has refused, as the end of a message; empty where there is none.
pub(super) fn other_model(error: &MelError) -> String {
    match BuiltIn::taking_refused(error).map(BuiltIn::name) {
        Some(name) => format!("; the built-in model {name} takes it: `model` {name}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn a_field_becomes_its_flag_and_other_names_stay() {
        assert_eq!(
            with_flags("`hifigan` it is not: pass `mel_convention` lmnt, or another `model`"),
            "`hifigan` it is not: pass --mel-convention lmnt, or another --model"
        );
        assert!(matches!(with_flags("no field"), Cow::Borrowed(_)));
    }

    #[test]
    fn every_flag_is_one_of_the_program() {
        let command = super::super::command::Cli::command();
        for (field, flag) in FLAGS {
            let flag = flag
                .strip_prefix("--")
                .and_then(|words| words.split(' ').next());
            let named = |arg: &clap::Arg| arg.get_long() == flag;
            let known = |command: &clap::Command| command.get_arguments().any(named);
            let known = known(&command) || command.get_subcommands().any(known);
            assert!(known || cfg!(not(feature = "server")), "{field}: {flag:?}");
        }
    }
}
