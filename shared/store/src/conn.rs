//! The connection to Redis, and the scripts that run there.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{FromRedisValue, Script, ScriptInvocation};
use tokio::time::{Instant, sleep};

use crate::{Result, StoreError, Timings};

/// Longest wait for an answer; above any pause of a healthy server.
const ANSWER: Duration = Duration::from_secs(5);

/// One multiplexed connection that reconnects by itself.
#[derive(Clone)]
pub(crate) struct Redis {
    client: redis::Client,
    manager: ConnectionManager,
    retry: Duration,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl Redis {
    pub(crate) async fn connect(url: &str, timings: &Timings) -> Result<Self> {
        // The error would show the URL, which may hold a password.
        let client = redis::Client::open(url)
            .map_err(|_| StoreError::Config("the Redis URL cannot be read".into()))?;
        let until = Instant::now() + timings.connect;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWER))
            .set_connection_timeout(Some(Duration::from_secs(3)))
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(Duration::from_millis(500))
            .set_number_of_retries(3);
        loop {
            let error =
                match ConnectionManager::new_with_config(client.clone(), config.clone()).await {
                    Ok(mut manager) => {
                        match redis::cmd("PING").query_async::<String>(&mut manager).await {
                            Ok(_) => {
                                return Ok(Self {
                                    client,
                                    manager,
                                    retry: timings.redis_retry,
                                });
                            }
                            Err(error) => StoreError::from(error),
                        }
                    }
                    Err(error) => StoreError::from(error),
                };
            if !error.is_transient() || Instant::now() >= until {
                return Err(error);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn client(&self) -> &redis::Client {
        &self.client
    }

    pub(crate) fn handle(&self) -> ConnectionManager {
        self.manager.clone()
    }

    /// Runs a command once.
    pub(crate) async fn once<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T> {
        Ok(command.query_async(&mut self.handle()).await?)
    }

    /// Runs a command whose repetition does no harm, again while Redis is away.
    pub(crate) async fn command<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T> {
        self.patiently(|| self.once(command)).await
    }

    /// Runs a pipeline whose repetition does no harm.
    pub(crate) async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: &redis::Pipeline,
    ) -> Result<T> {
        self.patiently(|| async { Ok(pipeline.query_async(&mut self.handle()).await?) })
            .await
    }

    /// Runs a script once.
    pub(crate) async fn script_once<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T> {
        Ok(script.invoke_async(&mut self.handle()).await?)
    }

    /// Runs a script whose repetition does no harm.
    pub(crate) async fn script<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T> {
        self.patiently(|| self.script_once(script)).await
    }

    async fn patiently<T, F>(&self, operation: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let until = Instant::now() + self.retry;
        let mut wait = Duration::from_millis(50);
        loop {
            match operation().await {
                Err(error) if error.is_transient() && Instant::now() + wait < until => {
                    tracing::debug!(%error, "redis is away, trying again");
                    sleep(jittered(wait)).await;
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
                other => return other,
            }
        }
    }
}

/// Between half and the whole of a wait, so that many do not come at once.
pub(crate) fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.5..=1.0))
}

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {$(
        pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("lua/prelude.lua"), include_str!($file)))
        });
    )*};
}

scripts! {
    SUBMIT = "lua/submit.lua";
    READ = "lua/read.lua";
    TAKE = "lua/take.lua";
    FINISH = "lua/finish.lua";
    BEAT = "lua/beat.lua";
    LEAVE = "lua/leave.lua";
    REAP = "lua/reap.lua";
    CANCEL = "lua/cancel.lua";
    RETRY = "lua/retry.lua";
    DELETE = "lua/delete.lua";
    UPDATE = "lua/update.lua";
    PUBLISH = "lua/publish.lua";
    RESTORE = "lua/restore.lua";
    LENGTHS = "lua/lengths.lua";
}
