//! Whose fault a failed picture is.

use illumine_types::tool::ToolRequest;
use illumine_types::{ToolCall, ToolKind};

/// Who is to blame for a failed picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The writer asked for what cannot be done: scored.
    Writer,
    /// A service, a limit of time or a store: the sample is excluded.
    Infrastructure,
}

/// Codes of what a writer brings about by its own call.
const WRITERS: [&str; 13] = [
    "invalid_tag",
    "too_many_images",
    "tool_not_allowed",
    "empty_call",
    "call_too_long",
    "nothing_found",
    "refused_by_service",
    "python_error",
    "no_figure",
    "out_of_memory",
    "output_too_large",
    "picture_too_small",
    "picture_too_large",
];

/// Whose fault the failure `code` of a call is. Codes that are not known count
/// as infrastructure: a writer is not blamed on a guess.
///
/// Two depend on the call. `tool_timeout` is the writer's for a program, which
/// ran too long, and the service's for every other tool. `parent_failed` is the
/// service's if an input picture was missing (its index is below `inputs`); else
/// the parent is a tag of the same answer, whose own failure tells, and the
/// writer is to blame for this one at most.
#[must_use]
pub fn fault_of(code: &str, call: Option<&ToolCall>, inputs: usize) -> Fault {
    let writers = match (code, call.map(|call| &call.request)) {
        ("tool_timeout", Some(request)) => request.kind() == ToolKind::Code,
        ("parent_failed", Some(ToolRequest::Edit { img_index, .. })) => *img_index >= inputs,
        _ => WRITERS.contains(&code),
    };
    if writers {
        Fault::Writer
    } else {
        Fault::Infrastructure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(request: ToolRequest) -> ToolCall {
        ToolCall {
            request,
            description: String::new(),
        }
    }

    #[test]
    fn bad_calls_are_the_writers_and_outages_are_not() {
        let code = call(ToolRequest::Code { code: "1/0".into() });
        let search = call(ToolRequest::Search { query: "x".into() });
        let edit = call(ToolRequest::Edit {
            img_index: 1,
            prompt: "x".into(),
        });
        for (failure, call, inputs, fault) in [
            ("invalid_tag", None, 0, Fault::Writer),
            ("too_many_images", Some(&search), 0, Fault::Writer),
            ("nothing_found", Some(&search), 0, Fault::Writer),
            ("refused_by_service", Some(&search), 0, Fault::Writer),
            ("python_error", Some(&code), 0, Fault::Writer),
            ("no_figure", Some(&code), 0, Fault::Writer),
            ("tool_timeout", Some(&code), 0, Fault::Writer),
            ("tool_timeout", Some(&search), 0, Fault::Infrastructure),
            ("tool_timeout", None, 0, Fault::Infrastructure),
            ("parent_failed", Some(&edit), 1, Fault::Writer),
            ("parent_failed", Some(&edit), 2, Fault::Infrastructure),
            ("sandbox_lost", Some(&code), 0, Fault::Infrastructure),
            ("backend_failed", Some(&search), 0, Fault::Infrastructure),
            ("tool_unavailable", Some(&search), 0, Fault::Infrastructure),
            ("storage_failed", Some(&search), 0, Fault::Infrastructure),
            ("cancelled", Some(&search), 0, Fault::Infrastructure),
            ("never_heard_of", None, 0, Fault::Infrastructure),
        ] {
            assert_eq!(fault_of(failure, call, inputs), fault, "{failure} {call:?}");
        }
    }
}
