//! `GET /api/v1/generations`.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use illumine_store::jobs::JobFilter;
use illumine_types::api::{Page, Role};
use illumine_types::{Job, JobKind, JobState, ToolKind};

use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::query::{Parameters, one_of};
use crate::state::State;

const KNOWN: &[&str] = &[
    "cursor", "limit", "status", "kind", "tool", "q", "since", "mine",
];
/// Longest search, characters.
const SEARCH: usize = 200;

/// Lists jobs, newest first. Members see their own.
#[utoipa::path(
    get,
    path = "/api/v1/generations",
    tag = "generations",
    params(
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200; 50 if left out"),
        ("status" = Option<JobState>, Query),
        ("kind" = Option<JobKind>, Query, description = "`generation` if left out"),
        ("tool" = Option<ToolKind>, Query, description = "Documents with a picture of this tool"),
        ("q" = Option<String>, Query, description = "Words of the title, in any case"),
        ("since" = Option<String>, Query, description = "RFC 3339: created then or later"),
        ("mine" = Option<bool>, Query, description = "Only this key's own"),
    ),
    responses((status = 200, body = Page<Job>)),
)]
pub async fn list(
    request: HttpRequest,
    state: Data<State>,
    caller: Caller,
) -> Result<Json<Page<Job>>> {
    let query = Parameters::read(&request, KNOWN)?;
    let filter = filter(&query, &caller)?;
    let page = state
        .store
        .jobs()
        .list(&filter, query.text("cursor"), query.limit()?)
        .await?;
    Ok(Json(page))
}

fn filter(query: &Parameters, caller: &Caller) -> Result<JobFilter> {
    let kind = query.parsed(
        "kind",
        &one_of(JobKind::ALL.map(JobKind::as_str)),
        JobKind::parse,
    )?;
    let is_mine = query.parsed("mine", "`true` or `false`", |text| text.parse().ok())?;
    let search = query
        .text("q")
        .map(str::trim)
        .filter(|text| !text.is_empty());
    if search.is_some_and(|text| text.chars().count() > SEARCH) {
        return Err(ApiError::query("q", format!("at most {SEARCH} characters")));
    }
    let is_limited = caller.role == Role::Member || is_mine == Some(true);
    Ok(JobFilter {
        kind: Some(kind.unwrap_or(JobKind::Generation)),
        status: query.parsed(
            "status",
            &one_of(JobState::ALL.map(JobState::as_str)),
            JobState::parse,
        )?,
        owner: if is_limited { caller.owner() } else { None },
        since: query.parsed(
            "since",
            "an RFC 3339 time, e.g. 2026-11-23T12:00:00Z",
            instant,
        )?,
        tool: query.parsed(
            "tool",
            &one_of(ToolKind::ALL.map(ToolKind::as_str)),
            ToolKind::parse,
        )?,
        search: search.map(str::to_owned),
    })
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    let parsed = DateTime::parse_from_rfc3339(text).ok()?;
    Some(parsed.with_timezone(&Utc))
}
