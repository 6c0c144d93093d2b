//! Connections: kept by hyper, and ended in ways that hyper does not know.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::content::ImageContent;
use super::ending::{Ending, EndingSlot};
use super::exchange::answer;
use super::sending::FLUSH_TIME;
use super::settings::Profile;
use super::shared::Shared;

/// The quota of properties, each a header in v1, and as many others.
const MAX_HEADERS: usize = 256;
/// The number of connections that may wait to be accepted, as `std` has it.
const BACKLOG: u32 = 128;
/// The time for which the server reads on after an early answer, so that the answer is not lost.
const LINGER: Duration = Duration::from_secs(2);

/// Tells the server to go away, or, if it is away, to come back; answered once it has.
pub(super) type Turn = std::sync::mpsc::Sender<()>;

/// Accepts connections until the runtime ends.
pub(super) async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut turns: mpsc::UnboundedReceiver<Turn>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let mut listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let gone = serve_all(listener, &shared, &mut turns).await;
        // Bound and not listening: connections are refused, and nobody else gets the port.
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let _ = gone.map(|gone| gone.send(()));
        let back = turns.recv().await;
        listener = socket.listen(BACKLOG)?;
        let _ = back.map(|back| back.send(()));
    }
}

/// Serves all that come until it is to go away; then the connections are closed. What is being
/// answered notices it as it does when a client is gone.
async fn serve_all(
    listener: tokio::net::TcpListener,
    shared: &Arc<Shared>,
    turns: &mut mpsc::UnboundedReceiver<Turn>,
) -> Option<Turn> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            turn = turns.recv() => {
                connections.shutdown().await;
                return turn;
            }
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(stream, Arc::clone(shared)))),
                // Running out of descriptors passes.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let ending = EndingSlot::default();
    let for_requests = Arc::clone(&ending);
    let keep_alive = shared.settings.keep_alive;
    // The server of 2017 capitalises the names of headers.
    let title_case = shared.settings.profile != Profile::Today;
    let service = service_fn(move |request| {
        // On a task of its own, so that an upload that breaks off still ends in a state.
        let answering = tokio::spawn(answer(
            request,
            Arc::clone(&shared),
            Arc::clone(&for_requests),
        ));
        Box::pin(async move {
            answering
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error)))
        })
    });
    let mut connection = http1::Builder::new()
        .keep_alive(keep_alive)
        .half_close(true)
        .max_headers(MAX_HEADERS)
        .title_case_headers(title_case)
        .max_buf_size(512 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let served = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let mut stream = connection.into_parts().io.into_inner();
    let how = ending.lock().unwrap_or_else(PoisonError::into_inner).take();
    match how {
        Some(Ending::Reset) => {
            if served.is_ok() {
                tokio::time::sleep(FLUSH_TIME).await;
            }
            let _ = stream.set_zero_linger();
            return;
        }
        Some(Ending::Raw(bytes)) => {
            let _ = stream.write_all(&bytes).await;
        }
        Some(Ending::RawForever(start, repeated)) => {
            let _ = write_forever(&mut stream, start, &repeated).await;
        }
        Some(Ending::BrokenHead(head, content)) => {
            let _ = write_data(&mut stream, &head, &content).await;
        }
        // A cut answer must not be followed by anything that looks like its end.
        None if served.is_err() => return,
        None => {}
    }
    let _ = stream.shutdown().await;
    let _ = tokio::time::timeout(LINGER, drain(&mut stream)).await;
}

async fn write_forever(stream: &mut TcpStream, start: Bytes, repeated: &[u8]) -> io::Result<()> {
    stream.write_all(&start).await?;
    loop {
        stream.write_all(repeated).await?;
        tokio::task::yield_now().await;
    }
}

async fn write_data(stream: &mut TcpStream, head: &[u8], content: &ImageContent) -> io::Result<()> {
    stream.write_all(head).await?;
    let mut sent = 0;
    while sent < content.len_bytes() {
        let chunk = content.read_at(sent, u64::MAX)?;
        sent += chunk.len() as u64;
        stream.write_all(&chunk).await?;
    }
    Ok(())
}

async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let mut sink = vec![0; 64 * 1024];
    while stream.read(&mut sink).await? > 0 {}
    Ok(())
}
