//! How processes find each other.
//!
//! One that comes says the secret, its number and how many it expects; one byte lets it in.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::link::Link;
use super::secret::Secret;
use super::{Peers, Times};
use crate::error::{Result, TrainError};

/// For somebody who connected to say who it is: others wait meanwhile.
const GREETING: Duration = Duration::from_secs(2);
/// Between two looks for who comes.
const LOOK: Duration = Duration::from_millis(20);
const WELCOME: [u8; 1] = [1];

/// The first process, which others come to.
#[derive(Debug)]
pub struct Meeting {
    listener: TcpListener,
    address: SocketAddr,
}

impl Meeting {
    /// Listens on a free port that this machine alone reaches.
    ///
    /// # Errors
    /// [`TrainError::Peer`].
    pub fn open() -> Result<Self> {
        let open = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        open().map_err(|error: std::io::Error| TrainError::peer(0, error))
    }

    /// Where others come to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until all of `count` processes, this one among them, are there. `look` is
    /// called over and over, and ends the wait with what it finds.
    ///
    /// # Errors
    /// [`TrainError::Peer`] with the first that did not come in time; those of `look`.
    pub fn wait(
        self,
        count: usize,
        secret: Secret,
        times: Times,
        mut look: impl FnMut() -> Result<()>,
    ) -> Result<Peers> {
        if count < 2 {
            return Ok(Peers::alone());
        }
        let until = Instant::now() + times.meeting;
        let mut came: Vec<Option<TcpStream>> = (1..count).map(|_| None).collect();
        while let Some(missing) = came.iter().position(Option::is_none) {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    // Somebody who does not know what to say is no matter.
                    if let Some((rank, stream)) = greet(stream, secret, count)
                        && let Some(place @ None) = came.get_mut(rank - 1)
                    {
                        *place = Some(stream);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    look()?;
                    if Instant::now() > until {
                        let seconds = times.meeting.as_secs();
                        let words = format!("did not come within {seconds} s");
                        return Err(TrainError::peer(missing + 1, words));
                    }
                    std::thread::sleep(LOOK);
                }
                Err(error) => return Err(TrainError::peer(0, error)),
            }
        }
        let mut streams = Vec::with_capacity(came.len());
        for (rank, stream) in (1..).zip(came.into_iter().flatten()) {
            streams.push(let_in(stream).map_err(|error| TrainError::peer(rank, error))?);
        }
        let link = Link::to_all(streams, times.exchange)?;
        Ok(Peers::linked(0, count, link))
    }
}

/// Who has come; none for one who does not belong here.
fn greet(mut stream: TcpStream, secret: Secret, count: usize) -> Option<(usize, TcpStream)> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(GREETING)).ok()?;
    let mut said = [0; Secret::LENGTH];
    stream.read_exact(&mut said).ok()?;
    if !secret.is(&said) {
        return None;
    }
    let mut number = || -> Option<usize> {
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let (rank, of) = (number()?, number()?);
    (of == count && (1..count).contains(&rank)).then_some((rank, stream))
}

fn let_in(mut stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(None)?;
    stream.write_all(&WELCOME)?;
    Ok(stream)
}

/// Comes to the process that listens at `address`, as number `rank` of `count`.
///
/// # Errors
/// [`TrainError::Peer`] when it is not there or does not want this one.
pub fn join(
    address: SocketAddr,
    secret: Secret,
    rank: usize,
    count: usize,
    times: Times,
) -> Result<Peers> {
    let join = || {
        let mut stream = TcpStream::connect_timeout(&address, times.meeting)?;
        stream.set_nodelay(true)?;
        // It lets everybody in at once, when all are there.
        stream.set_read_timeout(Some(times.meeting))?;
        let mut said = secret.0.to_vec();
        for number in [rank, count] {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            said.extend(number.to_le_bytes());
        }
        stream.write_all(&said)?;
        let mut answer = WELCOME;
        stream.read_exact(&mut answer)?;
        Ok(stream)
    };
    let refused = |error: std::io::Error| {
        TrainError::peer(0, format!("did not let this process in: {error}"))
    };
    let stream = join().map_err(refused)?;
    let link = Link::to_first(stream, times.exchange)?;
    Ok(Peers::linked(rank, count, link))
}
