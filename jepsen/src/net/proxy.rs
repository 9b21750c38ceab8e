//! A TCP relay for one directed link: `from` connects here instead of to `to`.
//!
//! Bytes of the connection that travel `from → to` obey that flow, and bytes that travel back obey
//! `to → from`, so a one-way cut is one-way for both parties' connections. A cut holds bytes: when
//! it heals, they go on, as TCP's retransmissions would. Nothing is ever lost from the middle of a
//! stream; what gets lost are connections.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::flow::Flow;
use crate::error::{Error, Result};
use crate::schedule::Dice;

/// Bytes that one direction may hold while they are delayed.
const HELD_BYTES_MAX: usize = 4 << 20;

/// Bytes of one read.
const PIECE_BYTES: usize = 64 << 10;

/// A running relay; dropping it closes everything.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// Both directions of a link.
#[derive(Clone, Debug)]
struct Pair {
    there: watch::Receiver<Flow>,
    back: watch::Receiver<Flow>,
}

impl Proxy {
    /// Listens on `listen` and relays to `target`.
    pub fn start(
        listen: SocketAddr,
        target: SocketAddr,
        there: watch::Receiver<Flow>,
        back: watch::Receiver<Flow>,
        seed: u64,
    ) -> Result<Self> {
        let failed = |source| Error::Socket { address: listen.to_string(), source };
        let socket =
            if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
        socket.set_reuseaddr(true).map_err(failed)?;
        socket.bind(listen).map_err(failed)?;
        let listener = socket.listen(256).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let task = tokio::spawn(accept(listener, target, Pair { there, back }, Dice::new(seed)));
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, pair: Pair, mut dice: Dice) {
    let mut relays = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    relays.spawn(relay(stream, target, pair.clone(), Dice::new(dice.roll())));
                }
                // Out of descriptors or a peer that went away: neither ends the link.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = relays.join_next() => {}
        }
    }
}

/// One connection, until an end or a reset.
async fn relay(near: TcpStream, target: SocketAddr, mut pair: Pair, mut dice: Dice) {
    let _ = near.set_nodelay(true);
    // A connection attempt needs both directions, as a SYN and its answer do.
    let wait_open = async {
        let _ = pair.there.wait_for(|flow| !flow.cut).await;
        let _ = pair.back.wait_for(|flow| !flow.cut).await;
    };
    if tokio::time::timeout(Duration::from_secs(30), wait_open).await.is_err() {
        reset(&near);
        return;
    }
    let Ok(Ok(far)) = tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(target)).await else {
        reset(&near);
        return;
    };
    let _ = far.set_nodelay(true);
    let doom = doomed(pair.there.clone(), pair.back.clone(), dice.roll());
    let (there_dice, back_dice) = (Dice::new(dice.roll()), Dice::new(dice.roll()));
    let (mut near_read, mut near_write) = near.into_split();
    let (mut far_read, mut far_write) = far.into_split();
    let broken = {
        let there = pump(&mut near_read, &mut far_write, pair.there, there_dice);
        let back = pump(&mut far_read, &mut near_write, pair.back, back_dice);
        tokio::select! {
            _ = async { tokio::join!(there, back) } => false,
            () = doom => true,
        }
    };
    if broken {
        reset(near_write.as_ref());
        reset(far_write.as_ref());
    }
}

/// Makes the coming close a reset.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Ends when chance and the flows say that the connection breaks.
async fn doomed(mut there: watch::Receiver<Flow>, mut back: watch::Receiver<Flow>, chance: u64) {
    let mut dice = Dice::new(chance);
    loop {
        let after = there.borrow_and_update().and(*back.borrow_and_update()).reset_after;
        let changed = async {
            tokio::select! {
                Ok(()) = there.changed() => {}
                Ok(()) = back.changed() => {}
                else => std::future::pending().await,
            }
        };
        match after {
            None => changed.await,
            Some(after) => {
                let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
                let life = Duration::from_micros(micros / 2 + dice.below(micros + 1));
                tokio::select! {
                    () = tokio::time::sleep(life) => return,
                    () = changed => {}
                }
            }
        }
    }
}

/// Carries one direction: reads ahead while pieces wait out their delay.
async fn pump(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
    mut dice: Dice,
) {
    let mut held: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut held_bytes = 0;
    let mut last_due = Instant::now();
    let mut open = true;
    let mut buffer = vec![0; PIECE_BYTES];
    while open || !held.is_empty() {
        let cut = flow.borrow().cut;
        let due = held.front().map(|(due, _)| *due);
        tokio::select! {
            read = from.read(&mut buffer), if open && held_bytes < HELD_BYTES_MAX => match read {
                Ok(0) | Err(_) => open = false,
                Ok(bytes) => {
                    let holds = flow.borrow().holds(bytes, dice.roll());
                    last_due = last_due.max(Instant::now() + holds);
                    held.push_back((last_due, buffer[..bytes].to_vec()));
                    held_bytes += bytes;
                }
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() && !cut => {
                if let Some((_, piece)) = held.pop_front() {
                    held_bytes -= piece.len();
                    if to.write_all(&piece).await.is_err() {
                        return;
                    }
                }
            }
            changed = flow.changed() => if changed.is_err() {
                return;
            },
        }
    }
    let _ = to.shutdown().await;
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
