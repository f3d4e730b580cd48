//! Time in words.

/// A measured time: `0.4 s`, `11 s`, `2 min 5 s`, `1 h 3 min`.
pub fn duration(ms: u64) -> String {
    let seconds = (ms + 500) / 1_000;
    match seconds {
        _ if ms < 1_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        0..60 => format!("{seconds} s"),
        60..3_600 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// An estimate, no finer than it deserves.
pub fn rough_duration(seconds: f64) -> String {
    if seconds < 60.0 {
        format!("{} s", seconds.round())
    } else if seconds < 5_400.0 {
        format!("{} min", (seconds / 60.0).round())
    } else {
        format!("{} h", (seconds / 3_600.0).round())
    }
}

/// How long ago, from two instants in milliseconds.
pub fn relative(now_ms: i64, then_ms: i64) -> String {
    let seconds = (now_ms - then_ms) / 1_000;
    let counted = |n: i64, unit: &str| match n {
        1 => format!("1 {unit} ago"),
        n => format!("{n} {unit}s ago"),
    };
    match seconds {
        ..45 => "just now".to_owned(),
        45..3_570 => counted(((seconds + 30) / 60).max(1), "minute"),
        3_570..84_600 => counted((seconds + 1_800) / 3_600, "hour"),
        84_600..129_600 => "yesterday".to_owned(),
        129_600..2_592_000 => counted((seconds + 43_200) / 86_400, "day"),
        2_592_000..31_536_000 => counted(seconds / 2_592_000, "month"),
        _ => counted(seconds / 31_536_000, "year"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let cases = [
            (0, "0.0 s"),
            (400, "0.4 s"),
            (1_400, "1 s"),
            (11_200, "11 s"),
            (60_000, "1 min"),
            (125_000, "2 min 5 s"),
            (3_780_000, "1 h 3 min"),
        ];
        for (ms, words) in cases {
            assert_eq!(duration(ms), words);
        }
        assert_eq!(rough_duration(8.4), "8 s");
        assert_eq!(rough_duration(130.0), "2 min");
    }

    #[test]
    fn the_past_reads_well() {
        let cases = [
            (-5, "just now"),
            (10, "just now"),
            (50, "1 minute ago"),
            (150, "3 minutes ago"),
            (3_580, "1 hour ago"),
            (7_300, "2 hours ago"),
            (86_400, "yesterday"),
            (200_000, "2 days ago"),
            (3_000_000, "1 month ago"),
            (70_000_000, "2 years ago"),
        ];
        for (seconds, words) in cases {
            assert_eq!(
                relative(1_000_000_000_000, 1_000_000_000_000 - seconds * 1_000),
                words
            );
        }
    }
}
