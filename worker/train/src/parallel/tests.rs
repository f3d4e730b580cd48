use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use super::frame::{self, Kind};
use super::{Meeting, Peers, Secret, Times, join};
use crate::error::{Result, TrainError};

fn times() -> Times {
    Times {
        meeting: Duration::from_secs(20),
        exchange: Duration::from_secs(20),
    }
}

/// What `work` comes to in each of `count` threads that met.
fn among<R: Send>(count: usize, work: impl Fn(Peers) -> R + Sync) -> Vec<R> {
    let (meeting, secret) = (Meeting::open().unwrap(), Secret::random());
    let address = meeting.address();
    std::thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = (1..count)
            .map(|rank| {
                scope.spawn(move || work(join(address, secret, rank, count, times()).unwrap()))
            })
            .collect();
        let first = meeting.wait(count, secret, times(), || Ok(()));
        let mut results = vec![work(first.unwrap())];
        results.extend(others.into_iter().map(|thread| thread.join().unwrap()));
        results
    })
}

fn peer_of(error: TrainError) -> (usize, String) {
    assert_eq!(error.code(), "train_peer");
    match error {
        TrainError::Peer { rank, reason } => (rank, reason),
        error => panic!("{error}"),
    }
}

#[test]
fn everybody_comes_to_the_same() {
    let results = among(3, |peers| -> Result<_> {
        let rank = peers.rank();
        assert_eq!((peers.count(), peers.leads()), (3, rank == 0));
        let mut small = [rank as f64 + 0.5, -1.0];
        peers.sum(&mut small)?;
        // More than one frame, and an order of adding that can be seen in the last bits.
        let mut large: Vec<f32> = (0..super::PART + 3)
            .map(|place| 0.1 * (place % 1000) as f32 * 10_f32.powi(4 * rank as i32))
            .collect();
        peers.sum(&mut large)?;
        let words = peers.all(&format!("rank {rank}"))?;
        let first = peers.broadcast(rank)?;
        Ok((small, large, words, first))
    });
    let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert!(results.iter().all(|result| *result == results[0]));
    let (small, large, words, first) = &results[0];
    assert_eq!(*small, [4.5, -3.0]);
    for place in [0, 1, 999, super::PART, super::PART + 2] {
        let own = 0.1 * (place % 1000) as f32;
        assert_eq!(large[place], own + own * 1e4 + own * 1e8);
    }
    assert_eq!(*words, ["rank 0", "rank 1", "rank 2"]);
    assert_eq!(*first, 0);
}

#[test]
fn one_alone_has_nothing_to_wait_for() {
    let peers = Peers::alone();
    let mut values = [1.5_f32, 2.5];
    peers.sum(&mut values).unwrap();
    assert_eq!(values, [1.5, 2.5]);
    assert_eq!(peers.all(&7).unwrap(), [7]);
    assert_eq!(peers.broadcast("x".to_owned()).unwrap(), "x");
    assert!(peers.leads() && (0..5).all(|place| peers.takes(place)));
}

#[test]
fn work_is_dealt_out_by_turns() {
    let dealt = among(3, |peers| {
        let own: Vec<usize> = (0..7).filter(|place| peers.takes(*place)).collect();
        assert!(
            own.iter()
                .enumerate()
                .all(|(own, place)| peers.place(own) == *place)
        );
        own
    });
    assert_eq!(dealt, [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
}

#[test]
fn one_that_goes_away_is_named() {
    let errors = among(3, |peers| match peers.rank() {
        0 => Some(peers.sum(&mut [1.0_f32]).unwrap_err()),
        1 => {
            // The first does not wait for it to notice that the other is gone.
            std::thread::sleep(Duration::from_secs(1));
            Some(peers.sum(&mut [1.0_f32]).unwrap_err())
        }
        _ => None,
    });
    let errors: Vec<_> = errors.into_iter().flatten().map(peer_of).collect();
    assert_eq!(errors[0].0, 2);
    assert!(errors[0].1.contains("gone"), "{}", errors[0].1);
    assert_eq!(errors[1].0, 0);
}

#[test]
fn one_at_another_point_of_the_run_is_named() {
    let errors = among(2, |peers| match peers.leads() {
        true => peers.sum(&mut [1.0_f32]).unwrap_err(),
        false => peers.all(&()).unwrap_err(),
    });
    let errors: Vec<_> = errors.into_iter().map(peer_of).collect();
    assert!(
        errors[0].0 == 1 && errors[0].1.contains("another point"),
        "{}",
        errors[0].1
    );
    assert_eq!(errors[1].0, 0);
}

#[test]
fn why_one_ends_is_told() {
    let results = among(2, |peers| match peers.leads() {
        true => Some(peers.broadcast(1).unwrap_err()),
        false => {
            peers.failed(&"no memory left");
            None
        }
    });
    let (rank, reason) = peer_of(results.into_iter().flatten().next().unwrap());
    assert_eq!((rank, reason.as_str()), (1, "no memory left"));
}

#[test]
fn sums_of_different_lengths_are_refused() {
    let results = among(2, |peers| {
        let mut values = vec![1.0_f32; 2 + peers.rank()];
        peers.sum(&mut values).unwrap_err()
    });
    let mut results = results.into_iter().map(peer_of);
    let (rank, reason) = results.next().unwrap();
    assert!(rank == 1 && reason.contains("3 numbers"), "{reason}");
    assert_eq!(results.next().unwrap().0, 0);
}

#[test]
fn nobody_joins_with_a_wrong_secret() {
    let (meeting, secret) = (Meeting::open().unwrap(), Secret::random());
    let address = meeting.address();
    let short = Times {
        meeting: Duration::from_secs(2),
        ..times()
    };
    let stranger = std::thread::spawn(move || join(address, Secret::random(), 1, 2, short));
    // And one who sends something else.
    let mut noise = TcpStream::connect(address).unwrap();
    noise
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let (rank, reason) = peer_of(meeting.wait(2, secret, short, || Ok(())).unwrap_err());
    assert_eq!((rank, reason.as_str()), (1, "did not come within 2 s"));
    let (rank, reason) = peer_of(stranger.join().unwrap().unwrap_err());
    assert!(
        rank == 0 && reason.contains("let this process in"),
        "{reason}"
    );
    assert_eq!(format!("{secret:?}"), "Secret(…)");
}

#[test]
fn what_is_looked_for_ends_the_wait() {
    let meeting = Meeting::open().unwrap();
    let ended = || Err(TrainError::peer(1, "ended: exit status 1"));
    let error = meeting
        .wait(2, Secret::random(), times(), ended)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "process 1 of the run: ended: exit status 1"
    );
}

#[test]
fn a_secret_goes_through_its_text() {
    let secret = Secret::random();
    let again = Secret::from_hex(&secret.to_hex()).unwrap();
    assert!(secret.is(&again.0));
    let text = secret.to_hex();
    for wrong in ["", "12", &text[1..], &text.replacen(&text[..1], "g", 1)] {
        assert!(Secret::from_hex(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn frames_that_promise_too_much_or_end_early_are_refused() {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, Kind::All, b"words").unwrap();
    assert_eq!(
        frame::read(&mut bytes.as_slice()).unwrap(),
        (Kind::All, b"words".to_vec())
    );
    let cut = frame::read(&mut &bytes[..bytes.len() - 1]).unwrap_err();
    assert_eq!(cut.kind(), std::io::ErrorKind::UnexpectedEof);
    let huge = frame::read(&mut [255, 255, 255, 255, 1].as_slice()).unwrap_err();
    assert!(huge.to_string().contains("4294967295"), "{huge}");
    let other = frame::read(&mut [0, 0, 0, 0, 9].as_slice()).unwrap_err();
    assert!(other.to_string().contains("kind 9"), "{other}");
    let large = vec![0; frame::LARGEST + 1];
    assert!(frame::write(&mut Vec::new(), Kind::All, &large).is_err());
}
