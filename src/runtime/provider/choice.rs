//! Which provider runs a graph: the one asked for by name, or the best that works.
//!
//! What the choice rests on is behind [`Machine`], so that it is tested without a GPU.

use super::fallback::FallbackReason;
use super::placement::Placement;
use crate::runtime::error::{Cause, RuntimeError};
use crate::runtime::provider_name::Provider;

/// What `auto` tries, best first.
pub(in crate::runtime) const AUTO: [Provider; 3] =
    [Provider::TensorRt, Provider::Cuda, Provider::Cpu];

/// The outside of a choice: a library, a machine and a graph.
pub(in crate::runtime) trait Machine {
    /// A graph that was loaded.
    type Session;

    /// What keeps `provider` from running on this machine, before anything is loaded for it.
    fn fallback_reason(&mut self, provider: Provider) -> Option<FallbackReason>;

    /// Loads the graph on `provider`.
    ///
    /// # Errors
    /// What ONNX Runtime said.
    fn commit(&mut self, provider: Provider) -> Result<Self::Session, Cause>;

    /// Where the nodes of a loaded graph are.
    ///
    /// # Errors
    /// What ONNX Runtime said.
    fn placement(&self, session: &Self::Session) -> Result<Placement, Cause>;
}

/// A graph on the provider that runs it.
pub(in crate::runtime) struct Chosen<S> {
    pub session: S,
    pub provider: Provider,
    pub placement: Placement,
    /// What `auto` tried before, and why not that.
    pub fallbacks: Vec<(Provider, FallbackReason)>,
}

/// Loads a graph on the provider asked for. `auto` does not try again what was passed over `before`.
///
/// # Errors
/// For a provider asked for by name: [`RuntimeError::ProviderUnavailable`] when it cannot run the whole graph. Where the CPU cannot:
/// [`RuntimeError::Graph`].
pub(in crate::runtime) fn choose<M: Machine>(
    machine: &mut M,
    wanted: Provider,
    label: &str,
    before: &[(Provider, FallbackReason)],
) -> Result<Chosen<M::Session>, RuntimeError> {
    let candidates = match &wanted {
        Provider::Auto => &AUTO[..],
        named => std::slice::from_ref(named),
    };
    let mut fallbacks = Vec::new();
    let mut last = None;
    for &provider in candidates {
        if let Some(again) = before.iter().find(|(of, _)| *of == provider) {
            last = Some((provider, Cause::from(again.1.clone())));
            fallbacks.push(again.clone());
            continue;
        }
        match attempt(machine, provider) {
            Ok((session, placement)) => {
                return Ok(Chosen {
                    session,
                    provider,
                    placement,
                    fallbacks,
                });
            }
            Err(refusal) => {
                fallbacks.push((provider, refusal.fallback_reason()));
                last = Some((provider, refusal.cause()));
            }
        }
    }
    // The last candidate is the named one, or the CPU.
    let (provider, source) = last.unwrap_or_else(|| (wanted, "nothing was tried".into()));
    Err(match provider {
        Provider::Auto | Provider::Cpu => RuntimeError::Graph {
            label: label.to_owned(),
            source,
        },
        Provider::Cuda | Provider::TensorRt => {
            RuntimeError::ProviderUnavailable { provider, source }
        }
    })
}

/// Why an attempt came to nothing.
enum Refusal {
    /// Known beforehand, or seen afterwards.
    Reason(FallbackReason),
    /// Loading the graph failed.
    Failed(Cause),
}

impl Refusal {
    fn fallback_reason(&self) -> FallbackReason {
        match self {
            Refusal::Reason(reason) => reason.clone(),
            Refusal::Failed(cause) => FallbackReason::surprise(cause.to_string()),
        }
    }

    fn cause(self) -> Cause {
        match self {
            Refusal::Reason(reason) => reason.into(),
            Refusal::Failed(cause) => cause,
        }
    }
}

/// Loads the graph on `provider` and sees that all of it is there.
fn attempt<M: Machine>(
    machine: &mut M,
    provider: Provider,
) -> Result<(M::Session, Placement), Refusal> {
    if let Some(reason) = machine.fallback_reason(provider) {
        return Err(Refusal::Reason(reason));
    }
    let session = machine.commit(provider).map_err(Refusal::Failed)?;
    let placement = machine.placement(&session).map_err(Refusal::Failed)?;
    if placement.is_whole(provider) {
        Ok((session, placement))
    } else {
        let reason = format!("it does not take the whole graph ({placement})");
        Err(Refusal::Reason(FallbackReason::surprise(reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::Provider::{Auto, Cpu, Cuda, TensorRt};
    use super::*;

    /// So many nodes of an operator on a provider.
    type Nodes = Vec<(Provider, &'static str, usize)>;

    /// A machine that stands in for one with a GPU.
    #[derive(Default)]
    struct StandIn {
        reasons: Vec<(Provider, &'static str)>,
        refused: Vec<(Provider, &'static str)>,
        /// Where the nodes go instead of the provider that was asked.
        astray: Vec<(Provider, Nodes)>,
        committed: Vec<Provider>,
    }

    impl Machine for StandIn {
        type Session = Provider;

        fn fallback_reason(&mut self, provider: Provider) -> Option<FallbackReason> {
            let found = self.reasons.iter().find(|(of, _)| *of == provider);
            found.map(|(_, reason)| FallbackReason {
                reasons: vec![(*reason).to_owned()],
                expected: false,
            })
        }

        fn commit(&mut self, provider: Provider) -> Result<Provider, Cause> {
            self.committed.push(provider);
            match self.refused.iter().find(|(of, _)| *of == provider) {
                Some((_, reason)) => Err((*reason).into()),
                None => Ok(provider),
            }
        }

        fn placement(&self, session: &Provider) -> Result<Placement, Cause> {
            let astray = self.astray.iter().find(|(of, _)| of == session);
            let nodes =
                astray.map_or_else(|| vec![(*session, "Conv", 40)], |(_, nodes)| nodes.clone());
            let named = nodes.into_iter().flat_map(|(provider, operator, count)| {
                let node = (provider.ort_name().to_owned(), operator.to_owned());
                std::iter::repeat_n(node, count)
            });
            Ok(Placement::of(named))
        }
    }

    fn names(chosen: &Chosen<Provider>) -> (Provider, Vec<Provider>) {
        let over = chosen.fallbacks.iter().map(|(provider, _)| *provider);
        (chosen.provider, over.collect())
    }

    #[test]
    fn auto_takes_the_best_that_works() {
        let mut all = StandIn::default();
        let chosen = choose(&mut all, Auto, "g").unwrap();
        assert_eq!(names(&chosen), (TensorRt, vec![]));
        assert_eq!(all.committed, [TensorRt], "the others were loaded too");

        let mut no_tensorrt = StandIn {
            reasons: vec![(TensorRt, "libnvinfer.so.10 is missing")],
            ..StandIn::default()
        };
        let chosen = choose(&mut no_tensorrt, Auto, "g").unwrap();
        assert_eq!(names(&chosen), (Cuda, vec![TensorRt]));
        assert!(!chosen.fallbacks[0].1.expected);
        assert!(chosen.fallbacks[0].1.to_string().contains("libnvinfer"));
    }

    #[test]
    fn auto_falls_to_the_cpu_and_says_why_for_each() {
        let mut machine = StandIn {
            reasons: vec![(TensorRt, "no TensorRT")],
            refused: vec![(Cuda, "out of memory")],
            ..StandIn::default()
        };
        let chosen = choose(&mut machine, Auto, "g").unwrap();
        assert_eq!(names(&chosen), (Cpu, vec![TensorRt, Cuda]));
        assert_eq!(chosen.fallbacks[1].1.to_string(), "out of memory");
        assert!(chosen.fallbacks[1].1.expected);
        assert_eq!(machine.committed, [Cuda, Cpu]);
    }

    fn choose(
        machine: &mut StandIn,
        wanted: Provider,
        label: &str,
    ) -> Result<Chosen<Provider>, RuntimeError> {
        super::choose(machine, wanted, label, &[])
    }

    #[test]
    fn what_was_passed_over_before_is_not_tried_again() {
        let before = [(
            TensorRt,
            FallbackReason::surprise("out of memory".to_owned()),
        )];
        let mut machine = StandIn::default();
        let chosen = super::choose(&mut machine, Auto, "g", &before).unwrap();
        assert_eq!(names(&chosen), (Cuda, vec![TensorRt]));
        assert_eq!(chosen.fallbacks, before);
        assert_eq!(machine.committed, [Cuda]);
    }

    #[test]
    fn a_named_provider_runs_or_is_an_error() {
        for (wanted, other) in [(Cuda, Cpu), (TensorRt, Cuda)] {
            let mut missing = StandIn {
                reasons: vec![(wanted, "no NVIDIA driver")],
                ..StandIn::default()
            };
            let error = choose(&mut missing, wanted, "g").err().unwrap().to_string();
            assert!(
                error.contains(wanted.name()) && error.contains("no NVIDIA driver"),
                "{error}"
            );
            assert!(
                missing.committed.is_empty(),
                "{other} was tried in its place"
            );

            let mut refused = StandIn {
                refused: vec![(wanted, "CUDA failure 100")],
                ..StandIn::default()
            };
            let error = choose(&mut refused, wanted, "g").err().unwrap().to_string();
            assert!(error.contains("CUDA failure 100"), "{error}");
            assert_eq!(refused.committed, [wanted]);
        }
    }

    #[test]
    fn nodes_that_went_astray_are_found_out() {
        let astray = |provider| StandIn {
            astray: vec![(provider, vec![(provider, "Conv", 38), (Cpu, "Conv", 2)])],
            ..StandIn::default()
        };
        let error = choose(&mut astray(Cuda), Cuda, "g")
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("2 nodes on CPUExecutionProvider"), "{error}");
        let chosen = choose(&mut astray(TensorRt), Auto, "g").unwrap();
        assert_eq!(names(&chosen), (Cuda, vec![TensorRt]));

        let mut all_on_cuda = StandIn {
            astray: vec![(TensorRt, vec![(Cuda, "Conv", 40)])],
            ..StandIn::default()
        };
        assert!(choose(&mut all_on_cuda, TensorRt, "g").is_err());
        let mut shared = StandIn {
            astray: vec![(TensorRt, vec![(TensorRt, "Conv", 1), (Cuda, "Conv", 4)])],
            ..StandIn::default()
        };
        assert_eq!(
            choose(&mut shared, TensorRt, "g").unwrap().provider,
            TensorRt
        );
    }

    #[test]
    fn a_graph_that_computes_shapes_is_not_refused_for_it() {
        let shapes = |provider| StandIn {
            astray: vec![(
                provider,
                vec![
                    (provider, "Conv", 9),
                    (provider, "Shape", 1),
                    (Cpu, "Gather", 2),
                ],
            )],
            ..StandIn::default()
        };
        for wanted in [Cuda, TensorRt] {
            assert_eq!(
                choose(&mut shapes(wanted), wanted, "g").unwrap().provider,
                wanted
            );
        }
        assert_eq!(
            names(&choose(&mut shapes(TensorRt), Auto, "g").unwrap()),
            (TensorRt, vec![])
        );
    }

    #[test]
    fn what_the_cpu_refuses_is_the_graphs_fault() {
        let mut machine = StandIn {
            reasons: vec![(TensorRt, "no"), (Cuda, "no")],
            refused: vec![(Cpu, "bad node")],
            ..StandIn::default()
        };
        for wanted in [Auto, Cpu] {
            let error = choose(&mut machine, wanted, "net").err().unwrap();
            assert!(matches!(error, RuntimeError::Graph { .. }), "{error}");
            assert!(error.to_string().contains("bad node"), "{error}");
            let cause = std::error::Error::source(&error).unwrap();
            assert_eq!(cause.to_string(), "bad node");
        }
    }
}
