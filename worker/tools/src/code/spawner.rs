//! A thread that starts the sandboxes.
//!
//! `--die-with-parent` ends a sandbox when the *thread* that started it ends
//! (prctl(2), PR_SET_PDEATHSIG), and a runtime's threads come and go. This one
//! lives as long as the pool, so that sandboxes end with the pool and not
//! before.

use std::io;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Wish = (Command, oneshot::Sender<io::Result<Child>>);

#[derive(Clone, Debug)]
pub(super) struct Spawner(mpsc::Sender<Wish>);

impl Spawner {
    /// Starts the thread; it ends when the last clone is dropped.
    pub fn start() -> io::Result<Self> {
        let (sender, wishes) = mpsc::channel::<Wish>();
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("sandboxes".into())
            .spawn(move || {
                let _inside = runtime.enter();
                for (mut command, reply) in wishes {
                    // When nobody waits any more, the child is dropped and killed.
                    let _ = reply.send(command.spawn());
                }
            })?;
        Ok(Self(sender))
    }

    pub async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, child) = oneshot::channel();
        let ended = || io::Error::other("the thread that starts sandboxes has ended");
        self.0.send((command, reply)).map_err(|_| ended())?;
        child.await.map_err(|_| ended())?
    }
}
