//! `cargo xtask up`: the whole system on this machine, until Ctrl-C.

mod child;
mod http;
mod state;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::exec::{cargo, find};
use crate::{paths, setup, web};
use child::{Child, Recipe};
use state::State;

#[derive(Args)]
pub struct Options {
    /// Redis to use in place of the embedded one, e.g. redis://host:6379/
    #[arg(long)]
    redis: Option<String>,
    /// S3 service to use in place of the embedded one; keys from ILLUMINE_S3_ACCESS_KEY and _SECRET_KEY
    #[arg(long)]
    s3: Option<String>,
    /// The backend's address
    #[arg(long)]
    listen: Option<String>,
    /// Worker processes
    #[arg(long)]
    workers: Option<usize>,
    /// Build and run unoptimised programs
    #[arg(long)]
    debug: bool,
    /// Stop as soon as everything is ready (for checks)
    #[arg(long)]
    check: bool,
}

const READY_LIMIT: Duration = Duration::from_secs(60);

pub fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    setup::for_up()?;
    let programs = build(options)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let state = State::load_or_make(&paths::data_dir())?;
    let settings = Settings::new(options, &state);
    let mut children = Vec::new();
    let outcome = serve(
        options,
        &settings,
        &state,
        &programs,
        &mut children,
        &stop,
        started,
    );
    eprintln!("stopping");
    // Last started, first stopped: workers finish and put back their jobs
    // while the stores still answer.
    while let Some(child) = children.pop() {
        child.stop();
    }
    outcome
}

/// Where everything listens, and what the children are told.
struct Settings {
    listen: String,
    workers: usize,
    environment: Vec<(String, String)>,
    embedded_redis: bool,
    embedded_s3: bool,
}

impl Settings {
    fn new(options: &Options, state: &State) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let redis = options
            .redis
            .clone()
            .or_else(|| variable("ILLUMINE_REDIS_URL"));
        let s3 = options
            .s3
            .clone()
            .or_else(|| variable("ILLUMINE_S3_ENDPOINT"));
        let listen = options
            .listen
            .clone()
            .or_else(|| variable("ILLUMINE_LISTEN"));
        let listen = listen.unwrap_or_else(|| "127.0.0.1:8080".into());
        let workers = variable("ILLUMINE_WORKERS").and_then(|count| count.parse().ok());
        let (embedded_redis, embedded_s3) = (redis.is_none(), s3.is_none());
        let redis_url = redis.unwrap_or_else(|| {
            format!(
                "redis://:{}@127.0.0.1:{}/",
                state.redis_password, state.redis_port
            )
        });
        let mut environment = vec![
            (
                "ILLUMINE_DATA_DIR".to_owned(),
                paths::data_dir().display().to_string(),
            ),
            ("ILLUMINE_LISTEN".to_owned(), listen.clone()),
            ("ILLUMINE_REDIS_URL".to_owned(), redis_url),
        ];
        match s3 {
            Some(endpoint) => environment.push(("ILLUMINE_S3_ENDPOINT".to_owned(), endpoint)),
            None => environment.extend([
                (
                    "ILLUMINE_S3_ENDPOINT".to_owned(),
                    format!("http://127.0.0.1:{}", state.s3_port),
                ),
                (
                    "ILLUMINE_S3_ACCESS_KEY".to_owned(),
                    state.s3_access_key.clone(),
                ),
                (
                    "ILLUMINE_S3_SECRET_KEY".to_owned(),
                    state.s3_secret_key.clone(),
                ),
            ]),
        }
        let workers = options.workers.or(workers).unwrap_or(1);
        Self {
            listen,
            workers,
            environment,
            embedded_redis,
            embedded_s3,
        }
    }
}

fn build(options: &Options) -> Result<PathBuf> {
    let profile: &[&str] = if options.debug { &[] } else { &["--release"] };
    // Of the workspace as a whole, as every other command: dependencies are built once.
    cargo("build")
        .args(profile)
        .args(["--workspace", "--bin", "illumine-backend"])
        .args(["--bin", "illumine", "--bin", "illumine-s3"])
        .run()?;
    web::build(&paths::data_dir().join("web"), profile)?;
    Ok(paths::target_dir().join(if options.debug { "debug" } else { "release" }))
}

fn serve(
    options: &Options,
    settings: &Settings,
    state: &State,
    programs: &std::path::Path,
    children: &mut Vec<Child>,
    stop: &AtomicBool,
    started: Instant,
) -> Result<()> {
    let logs = paths::data_dir().join("logs");
    std::fs::create_dir_all(&logs)?;
    let recipe = |name: &str, program: PathBuf, arguments: Vec<String>| Recipe {
        name: name.to_owned(),
        program,
        arguments,
        environment: settings.environment.clone(),
        log: logs.join(format!("{name}.log")),
    };
    if settings.embedded_redis {
        let server = find("redis-server").context("redis-server is not installed")?;
        children.push(Child::start(recipe(
            "redis",
            server,
            vec![state.redis_config()?],
        ))?);
    }
    if settings.embedded_s3 {
        let arguments = vec![
            "--listen".into(),
            format!("127.0.0.1:{}", state.s3_port),
            "--root".into(),
            paths::data_dir().join("s3").display().to_string(),
        ];
        children.push(Child::start(recipe(
            "s3",
            programs.join("illumine-s3"),
            arguments,
        ))?);
    }
    children.push(Child::start(recipe(
        "backend",
        programs.join("illumine-backend"),
        Vec::new(),
    ))?);
    for number in 1..=settings.workers {
        let name = format!("worker-{number}");
        children.push(Child::start(recipe(
            &name,
            programs.join("illumine"),
            vec!["worker".into()],
        ))?);
    }
    wait_until_ready(settings, children, stop, &logs)?;
    let address = &settings.listen;
    println!(
        "\n  Illumine is ready:  http://{address}   ({:.0} s)",
        started.elapsed().as_secs_f64()
    );
    match std::fs::read_to_string(paths::data_dir().join("admin-key")) {
        Ok(key) => println!("  admin key:          {}", key.trim()),
        Err(_) => println!("  no key is asked for"),
    }
    println!(
        "  logs:               {}\n  stop with Ctrl-C\n",
        logs.display()
    );
    while !options.check && !stop.load(Ordering::Relaxed) {
        for child in children.iter_mut() {
            child.keep_alive();
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn wait_until_ready(
    settings: &Settings,
    children: &mut [Child],
    stop: &AtomicBool,
    logs: &std::path::Path,
) -> Result<()> {
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        let answer = http::get(&settings.listen, "/readyz");
        if matches!(answer, Ok((200, _))) {
            return Ok(());
        }
        if stop.load(Ordering::Relaxed) {
            bail!("stopped before it was ready");
        }
        if let Some(dead) = children.iter_mut().find_map(Child::failed_for_good) {
            bail!(
                "{dead} does not start; its last words:\n{}",
                child::tail(&logs.join(format!("{dead}.log")))
            );
        }
        if Instant::now() > deadline {
            let last = answer.map_or_else(
                |error| error.to_string(),
                |(status, body)| format!("{status} {body}"),
            );
            bail!(
                "not ready after {READY_LIMIT:?}: {last}; logs are in {}",
                logs.display()
            );
        }
        for child in children.iter_mut() {
            child.keep_alive();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
