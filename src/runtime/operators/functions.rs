//! Functions of a graph that give way to kernels. Tags: `onnx.proto3` of onnx 1.19.

use std::borrow::Cow;

use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, decode_key, skip_field};

/// The field of a model that holds its functions.
const FUNCTIONS: u32 = 25;

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(string, optional, tag = "10")]
    domain: Option<String>,
}

/// The bytes of a model without its functions of `domain`: what it says they do is not asked for where there are kernels. What is no model
/// stays as it is; ONNX Runtime says what is wrong with it.
pub(super) fn without<'a>(model: &'a [u8], domain: &str) -> Cow<'a, [u8]> {
    let mut kept = Vec::new();
    let mut rest = model;
    while rest.has_remaining() {
        let field = rest;
        let skipped = decode_key(&mut rest).and_then(|(tag, kind)| {
            let content = rest;
            skip_field(kind, tag, &mut rest, DecodeContext::default())?;
            Ok((tag, &content[..content.len() - rest.len()]))
        });
        let Ok((tag, content)) = skipped else {
            return Cow::Borrowed(model);
        };
        let is_one = tag == FUNCTIONS
            && Function::decode_length_delimited(content)
                .is_ok_and(|function| function.domain.as_deref() == Some(domain));
        if !is_one {
            kept.push(&field[..field.len() - rest.len()]);
        }
    }
    match kept.iter().map(|field| field.len()).sum::<usize>() {
        all if all == model.len() => Cow::Borrowed(model),
        _ => Cow::Owned(kept.concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Message)]
    struct Model {
        #[prost(int64, tag = "1")]
        version: i64,
        #[prost(message, repeated, tag = "25")]
        functions: Vec<Function>,
    }

    fn model(domains: &[&str]) -> Vec<u8> {
        let function = |domain: &&str| Function {
            domain: Some((*domain).to_owned()),
        };
        let functions = domains.iter().map(function).collect();
        let version = 9;
        Model { version, functions }.encode_to_vec()
    }

    #[test]
    fn functions_of_one_domain_go() {
        assert_eq!(
            *without(&model(&["ours", "theirs", "ours"]), "ours"),
            model(&["theirs"])
        );
        assert_eq!(*without(&model(&["theirs"]), "ours"), model(&["theirs"]));
    }

    #[test]
    fn what_is_no_model_stays() {
        for bytes in [&b"no model"[..], &[0xff; 20], &[]] {
            assert_eq!(*without(bytes, "ours"), *bytes);
        }
    }
}
