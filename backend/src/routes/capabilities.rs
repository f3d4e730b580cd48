//! `/api/v1/capabilities`, `/models`: what this installation can do now.

use actix_web::web::{Data, Json, ServiceConfig};
use illumine_types::ToolKind;
use illumine_types::api::Page;
use illumine_types::capability::{Capabilities, PolicyCapability, ToolCapability, WorkerInfo};

use super::{get, resource};
use crate::auth::Caller;
use crate::error::Result;
use crate::state::State;

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/capabilities", "GET").route(get().to(capabilities)))
        .service(resource("/models", "GET").route(get().to(models)));
}

/// What can be asked for here and now: the sum over live workers. A tool that
/// cannot run says why, and which setting would enable it.
#[utoipa::path(
    get,
    path = "/api/v1/capabilities",
    tag = "capabilities",
    responses((status = 200, body = Capabilities)),
)]
pub async fn capabilities(state: Data<State>, _caller: Caller) -> Result<Json<Capabilities>> {
    let queue = state.store.queue();
    let workers = queue.workers().await?;
    let lengths = queue.lengths().await?;
    let waiting = lengths
        .iter()
        .flat_map(|length| length.waiting.values())
        .sum();
    let mut devices: Vec<String> = workers.iter().map(|worker| worker.device.clone()).collect();
    devices.sort();
    devices.dedup();
    Ok(Json(Capabilities {
        version: env!("CARGO_PKG_VERSION").into(),
        tools: ToolKind::ALL.map(|tool| sum_of(tool, &workers)).into(),
        policies: policies(&workers),
        devices,
        workers: u32::try_from(workers.len()).unwrap_or(u32::MAX),
        queue_length: waiting,
        auth: state.auth,
        limits: state.limits,
    }))
}

/// The policies that can be named in `options.policy`.
#[utoipa::path(
    get,
    path = "/api/v1/models",
    tag = "capabilities",
    responses((status = 200, body = Page<PolicyCapability>)),
)]
pub async fn models(state: Data<State>, _caller: Caller) -> Result<Json<Page<PolicyCapability>>> {
    let workers = state.store.queue().workers().await?;
    Ok(Json(Page {
        items: policies(&workers),
        next_cursor: None,
    }))
}

/// A tool is available if a worker has it; else the first worker's reason.
fn sum_of(tool: ToolKind, workers: &[WorkerInfo]) -> ToolCapability {
    let told: Vec<&ToolCapability> = workers
        .iter()
        .flat_map(|worker| &worker.tools)
        .filter(|capability| capability.tool == tool)
        .collect();
    let Some(first) = told.first() else {
        let reason = if workers.is_empty() {
            "no worker is running"
        } else {
            "no worker offers this tool"
        };
        return ToolCapability {
            tool,
            available: false,
            backends: Vec::new(),
            reason: Some(reason.into()),
            remedy: None,
        };
    };
    let mut backends: Vec<String> = Vec::new();
    for backend in told
        .iter()
        .filter(|told| told.available)
        .flat_map(|told| &told.backends)
    {
        if !backends.contains(backend) {
            backends.push(backend.clone());
        }
    }
    let is_available = told.iter().any(|told| told.available);
    ToolCapability {
        tool,
        available: is_available,
        backends,
        reason: first.reason.clone().filter(|_| !is_available),
        remedy: first.remedy.clone().filter(|_| !is_available),
    }
}

fn policies(workers: &[WorkerInfo]) -> Vec<PolicyCapability> {
    let mut policies: Vec<PolicyCapability> = Vec::new();
    for policy in workers.iter().flat_map(|worker| &worker.policies) {
        if !policies.iter().any(|known| known.name == policy.name) {
            policies.push(policy.clone());
        }
    }
    policies
}

#[cfg(test)]
mod tests {
    use illumine_types::JobKind;
    use illumine_types::job::WorkerRef;

    use super::*;

    fn worker(available: bool, backend: &str) -> WorkerInfo {
        WorkerInfo {
            worker: WorkerRef {
                id: "w".into(),
                host: "h".into(),
                pid: 1,
            },
            version: "0".into(),
            device: "flex".into(),
            queues: vec![JobKind::Generation],
            concurrency: 1,
            running: vec![],
            tools: vec![ToolCapability {
                tool: ToolKind::Search,
                available,
                backends: vec![backend.into()],
                reason: (!available).then(|| "no key".into()),
                remedy: (!available).then(|| "SERP_API_KEY".into()),
            }],
            policies: vec![],
            started_at: chrono::DateTime::UNIX_EPOCH,
            seen_at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn one_able_worker_makes_a_tool_available() {
        let sum = sum_of(
            ToolKind::Search,
            &[worker(false, "serpapi"), worker(true, "library")],
        );
        assert!(sum.available && sum.reason.is_none());
        assert_eq!(sum.backends, ["library"]);
    }

    #[test]
    fn without_one_the_remedy_is_told() {
        let sum = sum_of(ToolKind::Search, &[worker(false, "serpapi")]);
        assert_eq!(sum.remedy.as_deref(), Some("SERP_API_KEY"));
        let none = sum_of(ToolKind::Code, &[]);
        assert_eq!(none.reason.as_deref(), Some("no worker is running"));
    }
}
