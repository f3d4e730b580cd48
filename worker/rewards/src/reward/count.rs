//! The rule for the number of pictures.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::error::RewardError;

/// `image_num` of a row that wants pictures, however many.
pub const ANY: i64 = 99;

/// How many pictures a row asks for, written as its `image_num`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub enum ImageCount {
    /// −1: pictures are unwanted.
    Unwanted,
    /// 0: the writer decides.
    #[default]
    Free,
    /// 99: at least one.
    AtLeastOne,
    /// n ≥ 1 other than 99: that many.
    Exactly(NonZeroU32),
}

impl TryFrom<i64> for ImageCount {
    type Error = RewardError;

    fn try_from(image_num: i64) -> Result<Self, RewardError> {
        match image_num {
            -1 => Ok(Self::Unwanted),
            0 => Ok(Self::Free),
            ANY => Ok(Self::AtLeastOne),
            count => u32::try_from(count)
                .ok()
                .and_then(NonZeroU32::new)
                .map(Self::Exactly)
                .ok_or(RewardError::ImageCount(image_num)),
        }
    }
}

impl From<ImageCount> for i64 {
    fn from(count: ImageCount) -> Self {
        match count {
            ImageCount::Unwanted => -1,
            ImageCount::Free => 0,
            ImageCount::AtLeastOne => ANY,
            ImageCount::Exactly(count) => count.get().into(),
        }
    }
}

/// `N`, from 0 to 1, for `made` pictures (arXiv 2509.13642, rule-based reward):
///
/// | required | N |
/// |---|---|
/// | −1 | 1 without pictures, else 0 |
/// | 0 | 1 |
/// | 99 | 1 with pictures, else 0 |
/// | n | v/n up to n pictures, max(0, 1 − 0.3 (v − n)) above |
///
/// `made` counts pictures that tools made, never words in the text.
#[must_use]
pub fn count_reward(required: ImageCount, made: u32) -> f64 {
    let all_or_nothing = |met: bool| if met { 1.0 } else { 0.0 };
    match required {
        ImageCount::Unwanted => all_or_nothing(made == 0),
        ImageCount::Free => 1.0,
        ImageCount::AtLeastOne => all_or_nothing(made > 0),
        ImageCount::Exactly(wanted) => {
            let (made, wanted) = (f64::from(made), f64::from(wanted.get()));
            if made <= wanted {
                made / wanted
            } else {
                (1.0 - 0.3 * (made - wanted)).max(0.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_branch_of_the_rule() {
        for (required, made, expected) in [
            (-1, 0, 1.0),
            (-1, 1, 0.0),
            (-1, 12, 0.0),
            (0, 0, 1.0),
            (0, 7, 1.0),
            (1, 0, 0.0),
            (1, 1, 1.0),
            (1, 2, 0.7),
            (4, 1, 0.25),
            (4, 3, 0.75),
            (4, 4, 1.0),
            (4, 5, 0.7),
            (4, 6, 0.4),
            (4, 7, 0.1),
            (4, 8, 0.0),
            (4, 40, 0.0),
            (12, 11, 11.0 / 12.0),
            (99, 0, 0.0),
            (99, 1, 1.0),
            (99, 99, 1.0),
            (100, 50, 0.5),
        ] {
            let count = ImageCount::try_from(required).unwrap();
            let reward = count_reward(count, made);
            assert!(
                (reward - expected).abs() < 1e-12,
                "required {required}, made {made}: {reward}"
            );
        }
    }

    #[test]
    fn image_num_is_read_and_written_as_a_number() {
        for image_num in [-1, 0, 1, 5, 98, 99, 100] {
            let count: ImageCount = serde_json::from_value(image_num.into()).unwrap();
            assert_eq!(serde_json::to_value(count).unwrap(), image_num);
        }
        for image_num in [-2, i64::MIN, i64::MAX] {
            let error = ImageCount::try_from(image_num).unwrap_err();
            assert_eq!(error.code(), "reward_image_num_invalid");
            assert!(error.to_string().contains(&image_num.to_string()));
        }
    }
}
