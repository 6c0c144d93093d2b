//! A long line in front of the server, on which each byte takes its time.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

/// The bytes that are read at a time at an end of the line.
const PIECE_BYTES: usize = 256 * 1024;
/// The pieces that the line holds in each direction: 10 Gbit/s for 25 ms.
const PIECES: usize = 128;

/// A line to a server; dropping it ends it. The windows of TCP are not those of a long line: it
/// stands in for `tc netem` where the number of round trips counts.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Line {
    /// Listens in front of a server. Each byte arrives half a round trip later, and connecting takes
    /// one.
    pub(super) fn before(server: SocketAddr, round_trip: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        // A thread of its own, so that the server is as fast as without it.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("line".to_owned());
        thread.spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    _ = accept(listener, server, round_trip) => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self {
            address,
            _stop: stop,
        })
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, round_trip: Duration) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(connect(client, server, round_trip));
        } else {
            // Running out of descriptors passes.
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn connect(client: TcpStream, server: SocketAddr, round_trip: Duration) -> io::Result<()> {
    // The client takes itself for connected already, so the handshake is waited for here.
    sleep(round_trip).await;
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        carry(from_client, to_server, round_trip / 2),
        carry(from_server, to_client, round_trip / 2),
    );
    Ok(())
}

/// Delivers all that comes, each piece `delay` later, until there is no more or nobody takes it.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (on_its_way, mut due) = mpsc::channel::<(Instant, Bytes)>(PIECES);
    let deliver = async move {
        while let Some((when, piece)) = due.recv().await {
            sleep_until(when).await;
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    let take = async move {
        let mut buffer = vec![0; PIECE_BYTES];
        while let Ok(len) = from.read(&mut buffer).await
            && let Some(piece) = buffer.get(..len).filter(|piece| !piece.is_empty())
        {
            let piece = Bytes::copy_from_slice(piece);
            if on_its_way
                .send((Instant::now() + delay, piece))
                .await
                .is_err()
            {
                return;
            }
        }
    };
    tokio::pin!(deliver, take);
    tokio::select! {
        _ = &mut deliver => {}
        () = &mut take => drop(deliver.await),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn the_line_delivers_all_bytes_late() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let round_trip = Duration::from_millis(40);
        let line = Line::before(listener.local_addr().unwrap(), round_trip).unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; 8];
            stream.read_exact(&mut question).unwrap();
            stream.write_all(b"answer").unwrap();
            question
        });
        let begun = Instant::now();
        let mut client = std::net::TcpStream::connect(line.address).unwrap();
        client.write_all(b"question").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        // To connect and back, there, and back again.
        assert!(begun.elapsed() >= 2 * round_trip, "{:?}", begun.elapsed());
        assert_eq!(
            (&*answer, serving.join().unwrap()),
            ("answer", *b"question")
        );
    }
}
