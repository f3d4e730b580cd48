//! Whether the tools that a row requires were used, and with success.

use std::collections::BTreeMap;

use illumine_types::ToolKind;
use illumine_types::tool::{ToolCount, ToolStats};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// What each tool counts; only the proportions matter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolWeights {
    pub code: f64,
    pub edit: f64,
    pub search: f64,
    pub diffusion: f64,
}

impl Default for ToolWeights {
    fn default() -> Self {
        Self {
            code: 0.4,
            edit: 0.3,
            search: 0.2,
            diffusion: 0.1,
        }
    }
}

impl ToolWeights {
    #[must_use]
    pub const fn of(&self, kind: ToolKind) -> f64 {
        match kind {
            ToolKind::Search => self.search,
            ToolKind::Diffusion => self.diffusion,
            ToolKind::Code => self.code,
            ToolKind::Edit => self.edit,
        }
    }

    /// # Errors
    /// [`crate::RewardError::Config`] naming the weight that is negative or no number.
    pub fn validate(&self) -> Result<()> {
        for (field, weight) in [
            ("tools.code", self.code),
            ("tools.edit", self.edit),
            ("tools.search", self.search),
            ("tools.diffusion", self.diffusion),
        ] {
            super::settings::weight(field, weight)?;
        }
        Ok(())
    }
}

/// The tool reward and what it was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolPart {
    /// `r_tool`, from 0 to 1.
    pub value: f64,
    /// ½ a + ½ s of every required tool.
    pub by_tool: BTreeMap<ToolKind, f64>,
}

/// The tool reward:
///
/// `r_tool = Σ_k w_k (½ a_k + ½ s_k) / Σ_k w_k`, `k` over the required tools,
///
/// where `a_k` is 1 if the document has a valid call of tool `k`, else 0, and
/// `s_k` is the share of its calls that made a picture (0 without a call).
/// Calls of tools that are not required neither help nor harm. Nothing when no
/// tool is required, or when those required all have weight 0.
#[must_use]
pub fn tool_reward(
    weights: &ToolWeights,
    required: &[ToolKind],
    stats: &ToolStats,
) -> Option<ToolPart> {
    let by_tool: BTreeMap<ToolKind, f64> = required
        .iter()
        .map(|kind| (*kind, used(stats.count(*kind))))
        .collect();
    let total: f64 = by_tool.keys().map(|kind| weights.of(*kind)).sum();
    let earned: f64 = by_tool
        .iter()
        .map(|(kind, used)| weights.of(*kind) * used)
        .sum();
    (total > 0.0).then(|| ToolPart {
        value: earned / total,
        by_tool,
    })
}

fn used(count: ToolCount) -> f64 {
    if count.attempted == 0 {
        return 0.0;
    }
    0.5 + 0.5 * f64::from(count.succeeded) / f64::from(count.attempted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(counts: &[(ToolKind, u32, u32)]) -> ToolStats {
        let mut stats = ToolStats::default();
        for (kind, attempted, succeeded) in counts {
            *stats.count_mut(*kind) = ToolCount {
                attempted: *attempted,
                succeeded: *succeeded,
            };
        }
        stats
    }

    #[test]
    fn half_for_the_attempt_half_for_success_over_required_tools() {
        use ToolKind::{Code, Diffusion, Edit, Search};
        let all = ToolKind::ALL;
        for (required, counts, expected) in [
            (&[Code][..], vec![], 0.0),
            (&[Code], vec![(Code, 1, 0)], 0.5),
            (&[Code], vec![(Code, 1, 1)], 1.0),
            (&[Code], vec![(Code, 4, 1)], 0.625),
            (&[Code], vec![(Search, 3, 3)], 0.0),
            // 0.4 and 0.2 over 0.6: renormalised over what is required.
            (&[Code, Search], vec![(Code, 1, 1)], 2.0 / 3.0),
            (&[Code, Search], vec![(Search, 2, 2)], 1.0 / 3.0),
            (&[Search, Search], vec![(Search, 1, 1)], 1.0),
            (&all, vec![(Edit, 1, 1), (Diffusion, 1, 0)], 0.3 + 0.05),
        ] {
            let part = tool_reward(&ToolWeights::default(), required, &stats(&counts));
            let value = part.unwrap().value;
            assert!(
                (value - expected).abs() < 1e-12,
                "{required:?} {counts:?}: {value}"
            );
        }
    }

    #[test]
    fn it_does_not_apply_without_a_required_tool() {
        let weights = ToolWeights {
            diffusion: 0.0,
            ..ToolWeights::default()
        };
        let stats = stats(&[(ToolKind::Diffusion, 1, 1)]);
        assert_eq!(tool_reward(&weights, &[], &stats), None);
        assert_eq!(tool_reward(&weights, &[ToolKind::Diffusion], &stats), None);
    }

    #[test]
    fn a_bad_weight_is_named() {
        let weights = ToolWeights {
            edit: -0.1,
            ..ToolWeights::default()
        };
        let error = weights.validate().unwrap_err().to_string();
        assert!(error.contains("tools.edit"), "{error}");
        let unknown = serde_json::from_str::<ToolWeights>(r#"{"codes": 1}"#);
        assert!(unknown.unwrap_err().to_string().contains("codes"));
    }
}
