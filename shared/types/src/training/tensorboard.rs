//! Scalars as TensorBoard reads them.
//!
//! A file is a sequence of records, each `length (u64 LE), masked CRC-32C of the length,
//! data, masked CRC-32C of the data` (TensorFlow, `tsl/lib/io/record_writer.cc`), and the
//! data of each is an `Event` in protocol buffers (`tensorboard/compat/proto/event.proto`,
//! `summary.proto`).

use serde_json::{Map, Value};

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// What a file begins with; `wall` in seconds since 1970.
#[must_use]
pub fn header(wall: f64) -> Vec<u8> {
    let mut event = wall_time(wall);
    bytes(&mut event, 3, b"brain.Event:2");
    record(&event)
}

/// The numbers of a step as one record, each tag sorted below its subject; nothing where
/// there is none.
#[must_use]
pub fn point(step: u64, wall: f64, values: &Map<String, Value>) -> Vec<u8> {
    let mut summary = Vec::new();
    for (name, value) in values {
        let Some(number) = value.as_f64().filter(|_| name != "step") else {
            continue;
        };
        let mut entry = Vec::new();
        bytes(&mut entry, 1, tag(name).as_bytes());
        key(&mut entry, 2, FIXED32);
        entry.extend_from_slice(&(number as f32).to_le_bytes());
        bytes(&mut summary, 1, &entry);
    }
    if summary.is_empty() {
        return Vec::new();
    }
    let mut event = wall_time(wall);
    key(&mut event, 2, VARINT);
    varint(&mut event, step);
    bytes(&mut event, 5, &summary);
    record(&event)
}

/// A whole file from the lines of `metrics.jsonl`. A line has no clock: it is placed by the
/// seconds that its steps took after `begun`, seconds since 1970.
#[must_use]
pub fn file(lines: &str, begun: f64) -> Vec<u8> {
    let mut file = header(begun);
    let mut wall = begun;
    for line in lines.lines() {
        let Ok(values) = serde_json::from_str::<Map<String, Value>>(line) else {
            continue;
        };
        let number = |name: &str| values.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        wall += number("rollout_s") + number("update_s");
        let step = values.get("step").and_then(Value::as_u64);
        file.extend(point(step.unwrap_or(0), wall, &values));
    }
    file
}

/// `part_count` belongs to the reward's parts, `attempts_code` to the attempts of tools.
fn tag(name: &str) -> String {
    const SUBJECTS: [(&str, &str); 5] = [
        ("part_", "reward_parts"),
        ("attempts_", "tool_attempts"),
        ("successes_", "tool_successes"),
        ("reward", "reward"),
        ("validation_", "reward"),
    ];
    for (prefix, subject) in SUBJECTS {
        if let Some(rest) = name.strip_prefix(prefix) {
            let rest = match subject {
                "reward" => name,
                _ => rest,
            };
            return format!("{subject}/{rest}");
        }
    }
    format!("run/{name}")
}

fn wall_time(wall: f64) -> Vec<u8> {
    let mut event = Vec::new();
    key(&mut event, 1, FIXED64);
    event.extend_from_slice(&wall.to_le_bytes());
    event
}

fn key(into: &mut Vec<u8>, field: u64, wire: u64) {
    varint(into, field << 3 | wire);
}

fn bytes(into: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(into, field, BYTES);
    varint(into, value.len() as u64);
    into.extend_from_slice(value);
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length));
    record.extend_from_slice(data);
    record.extend(masked(data));
    record
}

fn masked(data: &[u8]) -> [u8; 4] {
    let sum = crc32c::crc32c(data);
    sum.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the `RecordWriter` of TensorBoard 2.20 writes an event of step 300 at time 2.5
    /// with `reward/reward` 0.5.
    const POINT: &str = "2400000000000000422b804d09000000000000044010ac022a160a140a0d7265776172642f\
         726577617264150000003fe35d565a";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_file_is_a_header_and_a_record_a_line() {
        let lines = "{\"step\":0,\"validation_reward\":0.25}\n{\"ste\n\
                     {\"step\":1,\"reward\":0.5,\"part_count\":1,\"rollout_s\":2,\"update_s\":3}\n";
        let file = file(lines, 100.0);
        let mut expected = header(100.0);
        let mut add = |step, wall, values: Value| {
            let Value::Object(values) = values else {
                panic!("no object")
            };
            expected.extend(point(step, wall, &values));
        };
        add(0, 100.0, serde_json::json!({"validation_reward": 0.25}));
        let second =
            serde_json::json!({"reward": 0.5, "part_count": 1, "rollout_s": 2, "update_s": 3});
        add(1, 105.0, second);
        assert_eq!(file, expected);
        for tag in [
            "reward/validation_reward",
            "reward/reward",
            "reward_parts/count",
            "run/update_s",
        ] {
            assert!(
                file.windows(tag.len()).any(|bytes| bytes == tag.as_bytes()),
                "{tag}"
            );
        }
        assert_eq!(point(1, 0.0, &Map::new()), Vec::<u8>::new());
    }

    #[test]
    fn the_bytes_are_those_of_tensorboards_own_writer() {
        let values = Map::from_iter([("reward".to_owned(), Value::from(0.5))]);
        assert_eq!(hex(&point(300, 2.5, &values)), POINT);
    }
}
