use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Json, Router, routing};
use illumine_types::JobKind;

use super::*;

/// What the server was asked, and whether it is well.
#[derive(Default)]
struct Server {
    calls: Vec<(String, Value)>,
    is_away: bool,
    run: Option<String>,
}

type Shared = Arc<Mutex<Server>>;

async fn get_experiment() -> (StatusCode, Json<Value>) {
    let missing = json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no" });
    (StatusCode::NOT_FOUND, Json(missing))
}

async fn post(
    State(server): State<Shared>,
    Path((subject, verb)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let mut server = server.lock().unwrap();
    if server.is_away {
        return (
            StatusCode::INTERNAL_SERVER_ERROR,
            Json(json!({ "message": "the disk is full" })),
        );
    }
    let path = format!("{subject}/{verb}");
    let answer = match path.as_str() {
        "experiments/create" => json!({ "experiment_id": "7" }),
        "runs/search" => match &server.run {
            Some(run) => json!({ "runs": [{ "info": { "run_id": run } }] }),
            None => json!({}),
        },
        "runs/create" => {
            server.run = Some("r1".into());
            json!({ "run": { "info": { "run_id": "r1" } } })
        }
        _ => json!({}),
    };
    server.calls.push((path, body));
    (StatusCode::OK, Json(answer))
}

async fn start() -> (Shared, Settings) {
    let shared = Shared::default();
    let router = Router::new()
        .route(
            "/api/2.0/mlflow/experiments/get-by-name",
            routing::get(get_experiment),
        )
        .route("/api/2.0/mlflow/{subject}/{verb}", routing::post(post))
        .with_state(Arc::clone(&shared));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = Settings {
        tracking_uri: Some(format!("http://{address}/")),
        tracking_token: None,
    };
    (shared, settings)
}

fn values(step: u64, reward: f64) -> Map<String, Value> {
    Map::from_iter([
        ("step".into(), step.into()),
        ("reward".into(), reward.into()),
    ])
}

fn metrics(server: &Shared) -> Vec<(u64, f64)> {
    let server = server.lock().unwrap();
    let batches = server
        .calls
        .iter()
        .filter(|(path, _)| path == "runs/log-batch");
    let metrics = batches.filter_map(|(_, body)| body["metrics"].as_array());
    let number = |metric: &Value| {
        (
            metric["step"].as_u64().unwrap(),
            metric["value"].as_f64().unwrap(),
        )
    };
    metrics.flatten().map(number).collect()
}

#[tokio::test]
async fn a_run_is_made_once_and_found_again() {
    let (server, settings) = start().await;
    let job = JobId::generate(JobKind::TrainingRun);
    let config = TrainingConfig {
        name: "owls".into(),
        ..TrainingConfig::default()
    };
    let mut first = MlFlow::of(&settings, &job).unwrap();
    assert_eq!(first.log(&config, &values(1, 0.25)).await, None);
    let mut second = MlFlow::of(&settings, &job).unwrap();
    assert_eq!(second.log(&config, &values(2, 0.5)).await, None);
    second.end(&config, Status::Stopped).await.unwrap();
    assert_eq!(metrics(&server), [(1, 0.25), (2, 0.5)]);
    let server = server.lock().unwrap();
    let of = |wanted: &str| -> Vec<&Value> {
        let calls = server.calls.iter().filter(|(path, _)| path == wanted);
        calls.map(|(_, body)| body).collect()
    };
    let made = of("runs/create");
    assert_eq!(made.len(), 1);
    assert_eq!(
        (&made[0]["run_name"], &made[0]["experiment_id"]),
        (&json!("owls"), &json!("7"))
    );
    assert_eq!(made[0]["tags"][0]["value"], job.to_string());
    let parameters = of("runs/log-batch")[0]["params"].as_array().unwrap();
    assert!(parameters.contains(&json!({ "key": "settings.samples", "value": "8" })));
    let ended = of("runs/update");
    assert_eq!(ended.last().unwrap()["status"], "KILLED");
}

#[tokio::test]
async fn an_outage_is_told_once_and_made_up_for() {
    let (server, settings) = start().await;
    let job = JobId::generate(JobKind::TrainingRun);
    let config = TrainingConfig::default();
    let mut mlflow = MlFlow::of(&settings, &job).unwrap();
    server.lock().unwrap().is_away = true;
    let told = mlflow.log(&config, &values(1, 0.25)).await.unwrap();
    assert!(
        told.contains("500") && told.contains("the disk is full"),
        "{told}"
    );
    assert_eq!(mlflow.log(&config, &values(2, 0.5)).await, None);
    server.lock().unwrap().is_away = false;
    let told = mlflow.log(&config, &values(3, 0.75)).await.unwrap();
    assert!(
        told.contains("again") && told.contains("0 were given up"),
        "{told}"
    );
    assert_eq!(metrics(&server), [(1, 0.25), (2, 0.5), (3, 0.75)]);

    let nobody = Settings {
        tracking_uri: Some("http://us:hunter2@127.0.0.1:9".into()),
        tracking_token: None,
    };
    let mut mlflow = MlFlow::of(&nobody, &job).unwrap();
    let told = mlflow.log(&config, &values(1, 0.1)).await.unwrap();
    assert!(
        told.contains("127.0.0.1:9") && !told.contains("hunter2"),
        "{told}"
    );
    assert!(MlFlow::of(&Settings::default(), &job).is_none());
}
