//! The traces that are recorded: the samplers of OpenTelemetry's SDKs.

use super::TraceContext;
use super::context::TraceId;

/// Decides about a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// True if the decision of the caller counts, where there is one.
    pub is_parent_based: bool,
    /// The part of the other traces that is recorded, from 0 to 1.
    pub ratio: f64,
}

impl Default for Sampler {
    /// Returns the default of OpenTelemetry: the caller decides, and a trace without a decision is
    /// recorded.
    fn default() -> Self {
        Self {
            is_parent_based: true,
            ratio: 1.0,
        }
    }
}

impl Sampler {
    /// Returns true if the trace is to be recorded. The same trace gets the same answer from every
    /// program with the same ratio.
    pub(super) fn samples(&self, parent: Option<TraceContext>, trace: TraceId) -> bool {
        if let Some(parent) = parent.filter(|_| self.is_parent_based) {
            return parent.is_sampled;
        }
        // the last seven bytes are random, whichever program has made the id
        let random = u64::try_from(trace.0 & RANDOM).unwrap_or_default();
        #[expect(
            clippy::cast_precision_loss,
            clippy::as_conversions,
            reason = "a share of random numbers"
        )]
        let share = random as f64 / RANDOM as f64;
        self.ratio >= 1.0 || share < self.ratio
    }
}

/// The bits of a trace's id that decide (W3C Trace Context level 2, section 3.2.2.3.2).
const RANDOM: u128 = (1 << 56) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_decides_else_the_ratio() {
        let parent = |text: &str| TraceContext::parse(text.as_bytes());
        let on = parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let off = parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
        let never = Sampler {
            ratio: 0.0,
            ..Sampler::default()
        };
        let id = TraceId::random();
        assert!(Sampler::default().samples(None, id) && never.samples(on, id));
        assert!(!Sampler::default().samples(off, id) && !never.samples(None, id));
        let always = Sampler {
            is_parent_based: false,
            ratio: 1.0,
        };
        assert!(always.samples(off, TraceId(u128::MAX)));

        let half = Sampler {
            ratio: 0.5,
            ..Sampler::default()
        };
        let sampled = (0..1000).filter(|_| half.samples(None, TraceId::random()));
        assert!((300..700).contains(&sampled.count()));
    }
}
