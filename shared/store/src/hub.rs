//! One subscription connection for a whole process.
//!
//! Followers of hundreds of jobs, and the worker that waits to be woken, share
//! it: a channel is subscribed to while someone listens. Messages may be lost
//! when the connection breaks; every listener is then told to look for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{interval, sleep, timeout};

/// What a listener is told.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    Message(Arc<str>),
    /// Messages may have been missed.
    Resync,
}

/// Messages kept for a slow listener before it must look for itself.
const BACKLOG: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Clone, Debug)]
pub(crate) struct Hub {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Subscribe>,
}

#[derive(Debug, Default)]
struct Shared {
    channels: Mutex<HashMap<String, Channel>>,
}

#[derive(Debug)]
struct Channel {
    sender: broadcast::Sender<Note>,
    /// The server has confirmed the subscription.
    live: bool,
}

#[derive(Debug)]
struct Subscribe {
    channel: String,
    done: oneshot::Sender<()>,
}

impl Hub {
    /// The connection is opened with the first listener and lives as long as
    /// any clone of the hub.
    pub(crate) fn new(client: redis::Client) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        tokio::spawn(run(client, Arc::clone(&shared), receiver));
        Self { shared, commands }
    }

    /// Listens to a channel. The subscription is in place when this returns, or
    /// a [`Note::Resync`] will follow once it is.
    pub(crate) async fn listen(&self, channel: &str) -> broadcast::Receiver<Note> {
        let receiver = {
            let mut channels = self.shared.lock();
            let entry = channels
                .entry(channel.to_owned())
                .or_insert_with(|| Channel {
                    sender: broadcast::channel(BACKLOG).0,
                    live: false,
                });
            let receiver = entry.sender.subscribe();
            if entry.live {
                return receiver;
            }
            receiver
        };
        let (done, confirmed) = oneshot::channel();
        let sent = self.commands.send(Subscribe {
            channel: channel.to_owned(),
            done,
        });
        if sent.is_ok() {
            let _ = timeout(PATIENCE, confirmed).await;
        }
        receiver
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, channel: &str, note: Note) {
        if let Some(entry) = self.lock().get(channel) {
            let _ = entry.sender.send(note);
        }
    }

    fn set_live(&self, channel: &str) {
        if let Some(entry) = self.lock().get_mut(channel) {
            entry.live = true;
        }
    }

    fn set_all_dead(&self) {
        for entry in self.lock().values_mut() {
            entry.live = false;
        }
    }

    /// Forgets channels that nobody listens to; answers their names.
    fn sweep(&self) -> Vec<String> {
        let mut channels = self.lock();
        let unheard: Vec<String> = channels
            .iter()
            .filter(|(_, entry)| entry.sender.receiver_count() == 0)
            .map(|(name, _)| name.clone())
            .collect();
        for name in &unheard {
            channels.remove(name);
        }
        unheard
    }

    fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }
}

async fn run(
    client: redis::Client,
    shared: Arc<Shared>,
    mut commands: mpsc::UnboundedReceiver<Subscribe>,
) {
    // Nothing to do before the first listener.
    let Some(mut first) = commands.recv().await.map(Some) else {
        return;
    };
    loop {
        if let Err(error) = serve(&client, &shared, &mut commands, first.take()).await {
            tracing::debug!(error, "the subscription connection broke, reconnecting");
        } else {
            return;
        }
        if commands.is_closed() {
            return;
        }
        shared.set_all_dead();
        sleep(Duration::from_millis(200)).await;
    }
}

/// Serves one connection; `Ok` when no clone of the hub is left.
async fn serve(
    client: &redis::Client,
    shared: &Shared,
    commands: &mut mpsc::UnboundedReceiver<Subscribe>,
    first: Option<Subscribe>,
) -> Result<(), String> {
    let connection = timeout(PATIENCE, client.get_async_pubsub())
        .await
        .map_err(|_| "no connection in time".to_owned())?
        .map_err(|error| error.to_string())?;
    let (mut sink, mut messages) = connection.split();
    for name in shared.names() {
        subscribe(&mut sink, &name).await?;
        shared.set_live(&name);
        shared.send(&name, Note::Resync);
    }
    if let Some(first) = first {
        let _ = first.done.send(());
    }
    let mut upkeep = interval(Duration::from_secs(5));
    upkeep.tick().await;
    loop {
        tokio::select! {
            message = messages.next() => {
                let message = message.ok_or("the server closed the connection")?;
                let text: String = message.get_payload().map_err(|error| error.to_string())?;
                shared.send(message.get_channel_name(), Note::Message(text.into()));
            }
            command = commands.recv() => {
                let Some(command) = command else { return Ok(()) };
                subscribe(&mut sink, &command.channel).await?;
                shared.set_live(&command.channel);
                let _ = command.done.send(());
            }
            _ = upkeep.tick() => {
                for name in shared.sweep() {
                    timeout(PATIENCE, sink.unsubscribe(name))
                        .await
                        .map_err(|_| "no answer in time".to_owned())?
                        .map_err(|error| error.to_string())?;
                }
                timeout(PATIENCE, sink.ping::<redis::Value>())
                    .await
                    .map_err(|_| "no answer in time".to_owned())?
                    .map_err(|error| error.to_string())?;
            }
        }
    }
}

async fn subscribe(sink: &mut redis::aio::PubSubSink, channel: &str) -> Result<(), String> {
    timeout(PATIENCE, sink.subscribe(channel))
        .await
        .map_err(|_| "no answer in time".to_owned())?
        .map_err(|error| error.to_string())
}
