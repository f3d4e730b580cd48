//! Why a job failed, for people.

use super::log::without_keys;

/// Characters of Ray's words, where there is no log.
const LONGEST_REASON: usize = 4_000;

/// What Ray says, and the last lines of the log, which Ray's further lines repeat.
pub fn why(message: Option<&str>, tail: &[String]) -> String {
    let said = without_keys(message.unwrap_or("Ray does not say why"));
    if tail.is_empty() {
        return said.chars().take(LONGEST_REASON).collect();
    }
    let first = said.lines().next().unwrap_or_default();
    let first = first.split(", last available logs").next().unwrap_or(first);
    format!("{first}. Its log ends with:\n{}", tail.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once() {
        let ray = "Job entrypoint command failed with exit code 1, last available logs \
                   (truncated to 20,000 chars):\nstarting\nOutOfMemory";
        let tail = ["starting".to_owned(), "OutOfMemory".to_owned()];
        assert_eq!(
            why(Some(ray), &tail),
            "Job entrypoint command failed with exit code 1. Its log ends with:\nstarting\nOutOfMemory"
        );
        let early = "runtime_env setup failed:\nKEY=ilm_0123456789abcdefghij";
        assert_eq!(
            why(Some(early), &[]),
            "runtime_env setup failed:\nKEY=ilm_***"
        );
    }
}
