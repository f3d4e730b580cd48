//! Sizes of files.

/// `312 B`, `4.7 MB`: decimal units, as a download shows them.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    // What would be rounded to 1000 is 1 of the next.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && value < 99.95);
    format!("{value:.decimals$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_read_well() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (4_700_000, "4.7 MB"),
            (999_999, "1.0 MB"),
            (312_000_000, "312 MB"),
            (8_044_936_192, "8.0 GB"),
        ];
        for (bytes, words) in cases {
            assert_eq!(super::size(bytes), words);
        }
    }
}
