//! How many pictures an answer must have.

/// `extra_info.image_num`, as the rule score of the reward reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageNum {
    /// −1: none at all.
    NoPicture,
    /// 0: as many as the policy likes, none included.
    Free,
    /// 1 to 98: that many.
    Exactly(u8),
    /// 99: at least one.
    AtLeastOne,
}

impl ImageNum {
    /// The values a file may hold, for errors.
    pub const DOMAIN: &'static str =
        "-1 (no picture), 0 (free), 1 to 98 (exactly that many) or 99 (at least one)";

    /// The file's number as a rule; none outside [`Self::DOMAIN`].
    #[must_use]
    pub fn parse(number: i64) -> Option<Self> {
        match number {
            -1 => Some(Self::NoPicture),
            0 => Some(Self::Free),
            99 => Some(Self::AtLeastOne),
            1..=98 => u8::try_from(number).ok().map(Self::Exactly),
            _ => None,
        }
    }

    /// The number that files hold.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::NoPicture => -1,
            Self::Free => 0,
            Self::Exactly(count) => i64::from(count),
            Self::AtLeastOne => 99,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_the_domain_comes_back() {
        for number in -1..=99 {
            assert_eq!(ImageNum::parse(number).unwrap().number(), number);
        }
        assert_eq!(ImageNum::parse(-2), None);
        assert_eq!(ImageNum::parse(100), None);
        assert_eq!(ImageNum::parse(i64::MAX), None);
    }

    #[test]
    fn the_three_special_numbers_are_rules_of_their_own() {
        assert_eq!(ImageNum::parse(-1), Some(ImageNum::NoPicture));
        assert_eq!(ImageNum::parse(0), Some(ImageNum::Free));
        assert_eq!(ImageNum::parse(4), Some(ImageNum::Exactly(4)));
        assert_eq!(ImageNum::parse(99), Some(ImageNum::AtLeastOne));
    }
}
