//! Programs of the bench itself, which it runs as processes of their own so that they can be
//! accounted for: the relay that does nothing, and the line that is long.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};

use super::http;

/// A pipe of this size, where the machine allows it, moves as much at a time.
const PIPE_BYTES: usize = 1024 * 1024;
/// What is read at a time at the end of a long line.
const PIECE_BYTES: usize = 256 * 1024;
/// What a long line holds in each direction: 10 Gbit/s for 25 ms.
const LINE_PIECES: usize = 128;

/// A program of the bench.
#[derive(clap::Subcommand)]
pub(crate) enum Part {
    /// Pass the body of one answer on as that of a request, without looking at it
    Relay {
        /// The URL of the data; the method and URL for it; the headers, one a line
        #[arg(num_args = 4.., value_names = ["FROM", "METHOD", "TO", "HEADERS"])]
        jobs: Vec<String>,
    },
    /// Listen in front of a server, and deliver each byte later
    Line { server: String, milliseconds: u64 },
}

impl Part {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Relay { jobs } => relay_all(&jobs),
            Self::Line {
                server,
                milliseconds,
            } => line(&server, Duration::from_millis(milliseconds)),
        }
    }
}

/// Relays all at once, each on a thread.
fn relay_all(jobs: &[String]) -> Result<(), Box<dyn Error>> {
    thread::scope(|scope| {
        let threads: Vec<_> = jobs
            .chunks(4)
            .map(|job| scope.spawn(|| relay(job).map_err(|error| error.to_string())))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            let outcome = thread.join().unwrap_or_else(|_| Err("a panic".to_owned()));
            Ok(outcome?)
        })
    })
}

/// The physical limit: the data never leaves the kernel.
fn relay(job: &[String]) -> Result<(), Box<dyn Error>> {
    let [from, method, to, headers] = job else {
        return Err("a job has four parts".into());
    };
    let source = http::read_head(http::send_head("GET", from, &[])?)?;
    let len = source.len_bytes.ok_or("the source states no length")?;
    if source.status != 200 {
        return Err(format!("{from}: {}", source.status).into());
    }
    let mut headers: Vec<String> = headers.lines().map(str::to_owned).collect();
    headers.push(format!("Content-Length: {len}"));
    let mut target = http::send_head(method, to, &headers)?;
    // What came along with the head.
    let first = source.body.buffer();
    target.write_all(first)?;
    let mut left = len.saturating_sub(first.len() as u64);
    let source = source.body.into_inner();
    let (reader, writer) = pipe()?;
    // An unprivileged user may be allowed less, which is slower, not wrong.
    let _ = fcntl_setpipe_size(&writer, PIPE_BYTES);
    while left > 0 {
        let most = usize::try_from(left).map_or(PIPE_BYTES, |left| left.min(PIPE_BYTES));
        let mut filled = moved(&source, &writer, most)?;
        left -= filled as u64;
        while filled > 0 {
            filled -= moved(&reader, &target, filled)?;
        }
    }
    let answer = http::read_head(target)?;
    match answer.status {
        200..300 => Ok(()),
        status => Err(format!("{to}: {status}").into()),
    }
}

fn moved(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::MORE;
    match splice(from, None, to, None, most, flags)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        moved => Ok(moved),
    }
}

/// A line between two places: every byte arrives `delay` later, and connecting takes two more.
///
/// The kernel's own round trips are as short as they are: it stands in for `tc netem` where only
/// the number of round trips counts.
fn line(server: &str, delay: Duration) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut output = io::stdout();
    writeln!(output, "listening on http://{}", listener.local_addr()?)?;
    output.flush()?;
    let server = server.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = server.clone();
            thread::spawn(move || connect_through(client, &server, delay));
        }
    });
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

fn connect_through(client: TcpStream, server: &str, delay: Duration) -> io::Result<()> {
    // The client believes to be connected already, so the handshake is waited for here.
    thread::sleep(2 * delay);
    let server = TcpStream::connect(server)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (back_from, back_to) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || carry(back_from, back_to, delay));
    carry(client, server, delay)
}

fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration) -> io::Result<()> {
    let (on_its_way, due) = mpsc::sync_channel::<(Instant, Vec<u8>)>(LINE_PIECES);
    thread::spawn(move || {
        for (when, piece) in due {
            thread::sleep(when.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                return;
            }
        }
        // Nobody may be there any more to be told of the end.
        let _ = to.shutdown(Shutdown::Write);
    });
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let len = from.read(&mut piece)?;
        piece.truncate(len);
        let sent = on_its_way.send((Instant::now() + delay, piece));
        if len == 0 || sent.is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers one connection once it has sent `wanted`, and returns what it has sent.
    fn server(wanted: &'static str, answer: &'static [u8]) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).ends_with(wanted) {
                let mut more = [0; 1024];
                let len = stream.read(&mut more).unwrap();
                assert!(len > 0, "{}", String::from_utf8_lossy(&seen));
                seen.extend_from_slice(&more[..len]);
            }
            stream.write_all(answer).unwrap();
            String::from_utf8(seen).unwrap()
        });
        (address, serving)
    }

    const DATA: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678";

    fn relayed(answer: &'static [u8]) -> (Result<(), String>, String) {
        let (from, source) = server("\r\n\r\n", DATA);
        let (to, target) = server("12345678", answer);
        let job = [
            format!("http://{from}/a"),
            "PUT".to_owned(),
            format!("http://{to}/b"),
            "X-One: 1\nX-Two: 2".to_owned(),
        ];
        let outcome = relay_all(&job).map_err(|error| error.to_string());
        source.join().unwrap();
        (outcome, target.join().unwrap())
    }

    #[test]
    fn all_of_a_body_is_passed_on() {
        let (outcome, seen) = relayed(b"HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(outcome, Ok(()));
        assert!(seen.starts_with("PUT /b HTTP/1.1\r\n"), "{seen}");
        assert!(seen.contains("\r\nX-One: 1\r\nX-Two: 2\r\nContent-Length: 8\r\n"));
        assert!(seen.ends_with("\r\n\r\n12345678"));
    }

    #[test]
    fn refusal_by_the_target_is_an_error() {
        let (outcome, _) = relayed(b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n");
        assert!(outcome.unwrap_err().ends_with("/b: 409"));
    }

    #[test]
    fn line_delivers_all_bytes_late() {
        let (address, serving) = server("question", b"answer");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        let delay = Duration::from_millis(20);
        let started = Instant::now();
        thread::spawn(move || connect_through(near, &address, delay));
        client.write_all(b"question").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
        // To connect and back, there, and back again.
        assert!(started.elapsed() >= 4 * delay, "{:?}", started.elapsed());
        assert_eq!(serving.join().unwrap(), "question");
    }
}
