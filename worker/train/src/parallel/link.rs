//! The connections of a process, and one exchange over them.

use std::io::ErrorKind;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::frame::{self, Frame, Kind};
use crate::error::{Result, TrainError};

/// To the others.
#[derive(Debug)]
pub enum Link {
    All(All),
    First(TcpStream),
}

/// The first process's: everybody else, from rank 1.
#[derive(Debug)]
pub struct All {
    streams: Vec<TcpStream>,
    /// A thread a connection reads, so that one that breaks is noticed at once, whoever is
    /// waited for.
    heard: Receiver<(usize, std::io::Result<Frame>)>,
    longest: Duration,
}

impl Link {
    /// Of the first process; `streams` are those of ranks 1, 2 and so on.
    pub fn to_all(streams: Vec<TcpStream>, longest: Duration) -> Result<Self> {
        let (said, heard) = channel();
        for (rank, stream) in (1..).zip(&streams) {
            let listen = || {
                stream.set_write_timeout(Some(longest))?;
                let (stream, said) = (stream.try_clone()?, said.clone());
                let thread = std::thread::Builder::new().name(format!("rank {rank}"));
                thread.spawn(move || listen(rank, stream, &said))
            };
            listen().map_err(|error| TrainError::peer(rank, error))?;
        }
        Ok(Self::All(All {
            streams,
            heard,
            longest,
        }))
    }

    /// Of any other.
    pub fn to_first(stream: TcpStream, longest: Duration) -> Result<Self> {
        // The first waits shorter, for it can tell which is missing.
        let set = stream.set_read_timeout(Some(2 * longest));
        let set = set.and_then(|()| stream.set_write_timeout(Some(2 * longest)));
        set.map_err(|error| TrainError::peer(0, error))?;
        Ok(Self::First(stream))
    }

    /// See [`super::Peers`].
    pub fn exchange(
        &mut self,
        kind: Kind,
        own: Vec<u8>,
        combine: impl FnOnce(Vec<Vec<u8>>) -> Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        match self {
            Self::All(all) => {
                let answer = combine(all.collect(kind, own)?)?;
                all.answer(kind, &answer)?;
                Ok(answer)
            }
            Self::First(stream) => {
                let told = frame::write(stream, kind, &own);
                told.map_err(|error| broken(0, &error))?;
                let answer = frame::read(stream).map_err(|error| broken(0, &error))?;
                body(0, kind, answer)
            }
        }
    }

    /// Tells the first process why this one ends. It may be gone: that is no matter now.
    pub fn failed(&mut self, why: &str) {
        if let Self::First(stream) = self {
            let _ = frame::write(stream, Kind::Failed, why.as_bytes());
        }
    }
}

impl All {
    /// One frame of each, in the order of ranks.
    fn collect(&self, kind: Kind, own: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        let until = Instant::now() + self.longest;
        let mut bodies: Vec<Option<Vec<u8>>> = vec![None; self.streams.len()];
        while let Some(missing) = bodies.iter().position(Option::is_none) {
            let left = until.saturating_duration_since(Instant::now());
            let Ok((rank, heard)) = self.heard.recv_timeout(left) else {
                let seconds = self.longest.as_secs();
                let words = format!("nothing was heard of it for {seconds} s");
                return Err(TrainError::peer(missing + 1, words));
            };
            let heard = heard.map_err(|error| broken(rank, &error))?;
            bodies[rank - 1] = Some(body(rank, kind, heard)?);
        }
        Ok([own]
            .into_iter()
            .chain(bodies.into_iter().flatten())
            .collect())
    }

    fn answer(&mut self, kind: Kind, answer: &[u8]) -> Result<()> {
        for (rank, stream) in (1..).zip(&mut self.streams) {
            let told = frame::write(stream, kind, answer);
            told.map_err(|error| broken(rank, &error))?;
        }
        Ok(())
    }
}

impl Drop for All {
    /// The threads that read hold the connections open too.
    fn drop(&mut self) {
        for stream in &self.streams {
            // Closed already, then.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn listen(rank: usize, mut stream: TcpStream, said: &Sender<(usize, std::io::Result<Frame>)>) {
    loop {
        let heard = frame::read(&mut stream);
        let is_last = heard.is_err();
        if said.send((rank, heard)).is_err() || is_last {
            return;
        }
    }
}

/// The bytes of a frame that must be of `kind`.
fn body(rank: usize, kind: Kind, (found, body): Frame) -> Result<Vec<u8>> {
    match found {
        found if found == kind => Ok(body),
        Kind::Failed => Err(TrainError::peer(rank, String::from_utf8_lossy(&body))),
        found => {
            let words = format!("is at another point of the run: {found:?}, not {kind:?}");
            Err(TrainError::peer(rank, words))
        }
    }
}

fn broken(rank: usize, error: &std::io::Error) -> TrainError {
    let reason = match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "it is gone: its connection was closed".to_owned()
        }
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "it took too long to answer".to_owned(),
        _ => error.to_string(),
    };
    TrainError::peer(rank, reason)
}
