//! Whether tags are calls.

/// `F`, from 0 to 1: the share of `tags` that are valid calls. Without a tag
/// there is nothing malformed: 1. Whether pictures are missing is for the rule
/// of their number to say.
#[must_use]
pub fn format_reward(valid: u32, tags: u32) -> f64 {
    if tags == 0 {
        return 1.0;
    }
    f64::from(valid.min(tags)) / f64::from(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_valid_tags() {
        for (valid, tags, expected) in [(0, 0, 1.0), (0, 2, 0.0), (3, 4, 0.75), (2, 2, 1.0)] {
            assert!((format_reward(valid, tags) - expected).abs() < 1e-12);
        }
    }
}
