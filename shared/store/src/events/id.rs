//! Ids of events: `milliseconds-counter`, in order.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::StoreError;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EventId {
    pub milliseconds: u64,
    pub counter: u64,
}

impl EventId {
    pub(crate) fn parse(text: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::BadEventId(text.chars().take(64).collect());
        let (milliseconds, counter) = text.split_once('-').ok_or_else(bad)?;
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten().ok_or_else(bad)
        };
        Ok(Self {
            milliseconds: number(milliseconds)?,
            counter: number(counter)?,
        })
    }

    pub(crate) fn time(self) -> DateTime<Utc> {
        i64::try_from(self.milliseconds)
            .ok()
            .and_then(DateTime::from_timestamp_millis)
            .unwrap_or_default()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_from_outside_are_checked() {
        assert_eq!(EventId::parse("17-3").unwrap().to_string(), "17-3");
        assert!(EventId::parse("17-10").unwrap() > EventId::parse("17-9").unwrap());
        for bad in [
            "",
            "-",
            "17",
            "17-",
            "-3",
            "+1-2",
            "$",
            "1-2-3",
            "99999999999999999999-0",
        ] {
            assert!(EventId::parse(bad).is_err(), "{bad}");
        }
    }
}
