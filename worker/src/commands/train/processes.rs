//! Several processes of a run: the first starts the others as itself with two arguments
//! more, and none outlives it.

use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use illumine_train::parallel::{Meeting, Peers, Secret, Times, join};
use illumine_train::rl::RunConfig;
use illumine_train::{TrainError, lanes};

/// What processes of a run alone know.
const SECRET: &str = "ILLUMINE_TRAIN_SECRET";
/// For the others to end when the run is at its end.
const LONGEST_END: Duration = Duration::from_secs(60);
/// For one that is gone to be found among the dead.
const LONGEST_LOOK: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

// Named apart from the command's own options: each makes a group of arguments. Words of
// documentation here would stand in the place of the command's own.
#[derive(Args)]
pub struct Processes {
    /// Processes of this machine that share the run's work
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count)]
    processes: usize,
    /// Which of them this is
    #[arg(long, hide = true, requires = "meet")]
    rank: Option<usize>,
    /// Where the first listens
    #[arg(long, hide = true, requires = "rank")]
    meet: Option<SocketAddr>,
}

fn count(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=64).contains(count))
        .ok_or_else(|| "expected a number from 1 to 64".to_owned())
}

/// This process with the others of its run.
pub struct Company {
    peers: Peers,
    /// In the first process.
    others: Others,
}

impl Company {
    /// Starts the others and waits for them, or comes to the first.
    pub fn gather(options: &Processes, run: &RunConfig) -> anyhow::Result<Self> {
        let (count, times) = (options.processes, times(run));
        let mut others = Others(Vec::new());
        let peers = match (options.rank, options.meet) {
            (Some(rank), Some(address)) => {
                end_with_the_first();
                let secret = std::env::var(SECRET).ok();
                let secret = secret.and_then(|text| Secret::from_hex(&text));
                let secret = secret.with_context(|| format!("{SECRET} is not set"))?;
                join(address, secret, rank, count, times)?
            }
            _ if count == 1 => Peers::alone(),
            _ => {
                let (meeting, secret) = (Meeting::open()?, Secret::random());
                for rank in 1..count {
                    others.start(rank, meeting.address(), secret)?;
                }
                meeting.wait(count, secret, times, || others.look())?
            }
        };
        if count > 1 {
            lanes::share_cores(count);
        }
        Ok(Self { peers, others })
    }

    pub const fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Ends with what the run came to here. The others tell the first, and it alone tells
    /// people.
    pub fn part(mut self, ended: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
        match ended {
            Err(error) if !self.peers.leads() => {
                self.peers.failed(&format!("{error:#}"));
                Ok(ExitCode::FAILURE)
            }
            Err(error) => match error.downcast_ref() {
                Some(TrainError::Peer { rank, .. }) => {
                    let status = self.others.status(*rank, LONGEST_LOOK);
                    let words = status.map(|status| format!("process {rank} ended: {status}"));
                    Err(match words {
                        Some(words) => error.context(words),
                        None => error,
                    })
                }
                _ => Err(error),
            },
            Ok(code) => {
                // They have nothing left to do.
                let until = Instant::now() + LONGEST_END;
                for rank in 1..self.peers.count() {
                    let left = until.saturating_duration_since(Instant::now());
                    self.others.status(rank, left);
                }
                Ok(code)
            }
        }
    }
}

/// A process waits for others as long as they may write answers, and then some: judges and
/// updates take their time.
fn times(run: &RunConfig) -> Times {
    let writing = Duration::from_secs(run.step.sampling.time_limit_s);
    let times = Times::default();
    Times {
        exchange: times.exchange.saturating_add(writing),
        ..times
    }
}

/// The device of a process that is told `name`: of GPUs, each takes the next.
pub fn device(name: &str, peers: &Peers) -> String {
    next_device(name.trim(), peers.rank(), peers.count())
}

fn next_device(name: &str, rank: usize, count: usize) -> String {
    if count == 1 {
        return name.to_owned();
    }
    // The weights' numbers that may follow are the same for all.
    if let Some(device) = name.strip_suffix(":bf16") {
        return format!("{}:bf16", next_device(device, rank, count));
    }
    let (kind, first) = match name.rsplit_once(':') {
        Some((kind, index)) => (kind, index.parse().ok()),
        None => (name, Some(0)),
    };
    match (kind, first) {
        ("cuda" | "libtorch:cuda", Some(first)) => format!("{kind}:{}", first + rank),
        // LibTorch's name of its first GPU.
        ("libtorch", None) if name.ends_with(":cuda") => format!("{name}:{rank}"),
        _ => name.to_owned(),
    }
}

/// Ends this process when the first is gone, however it went: it holds the other end of
/// the standard input.
fn end_with_the_first() {
    std::thread::spawn(|| {
        let mut buffer = [0; 64];
        while std::io::stdin()
            .read(&mut buffer)
            .is_ok_and(|read| read > 0)
        {}
        std::process::exit(1);
    });
}

/// The processes that this one started, from rank 1.
struct Others(Vec<Child>);

impl Others {
    /// Starts the next with the arguments of this process.
    fn start(&mut self, rank: usize, address: SocketAddr, secret: Secret) -> anyhow::Result<()> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let child = Command::new(program)
            .args(std::env::args_os().skip(1))
            .args(["--rank", &rank.to_string()])
            .args(["--meet", &address.to_string()])
            .env(SECRET, secret.to_hex())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Ctrl-C is for this process, which tells the others after a step.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start process {rank}"))?;
        self.0.push(child);
        Ok(())
    }

    /// Whether all are alive.
    fn look(&mut self) -> Result<(), TrainError> {
        for (rank, child) in (1..).zip(&mut self.0) {
            if let Ok(Some(status)) = child.try_wait() {
                let reason = format!("ended before it came: {status}");
                return Err(TrainError::Peer { rank, reason });
            }
        }
        Ok(())
    }

    /// How a process ended, if it does so soon.
    fn status(&mut self, rank: usize, soon: Duration) -> Option<std::process::ExitStatus> {
        let child = rank
            .checked_sub(1)
            .and_then(|place| self.0.get_mut(place))?;
        let until = Instant::now() + soon;
        loop {
            // Not `wait`, which closes the standard input.
            match child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => std::thread::sleep(LOOK),
                _ => return None,
            }
        }
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_takes_the_next_gpu() {
        let second = |name| next_device(name, 1, 2);
        assert_eq!(second("cuda"), "cuda:1");
        assert_eq!(second("cuda:2"), "cuda:3");
        assert_eq!(second("libtorch:cuda"), "libtorch:cuda:1");
        assert_eq!(second("libtorch:cuda:1"), "libtorch:cuda:2");
        assert_eq!(second("libtorch:cuda:0:bf16"), "libtorch:cuda:1:bf16");
        assert_eq!(second("cuda:bf16"), "cuda:1:bf16");
        assert_eq!(second("flex:bf16"), "flex:bf16");
        assert_eq!(next_device("cuda", 0, 2), "cuda:0");
        // What has no number stays; what is wrong is told by who reads it.
        for name in ["flex", "libtorch", "cuda:x"] {
            assert_eq!(second(name), name);
        }
        assert_eq!(next_device("cuda", 0, 1), "cuda");
    }
}
