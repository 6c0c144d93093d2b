//! As much of HTTP as the bench needs itself: requests with small bodies, and the heads around a
//! body that is passed on untouched.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

/// The most that is read of a head.
const HEAD_BYTES: u64 = 64 * 1024;

/// An answer whose body has yet to be read.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Where the server says it.
    pub(super) len_bytes: Option<u64>,
    pub(super) body: BufReader<TcpStream>,
}

impl Answer {
    /// Reads the body, up to where the server closes the connection if it states no length.
    pub(super) fn read(self) -> Result<Vec<u8>, Box<dyn Error>> {
        let mut body = Vec::new();
        let most = self.len_bytes.unwrap_or(u64::MAX);
        self.body.take(most).read_to_end(&mut body)?;
        if self.len_bytes.is_some_and(|len| len != body.len() as u64) {
            return Err("the answer was cut short".into());
        }
        Ok(body)
    }
}

/// Connects to the server of an `http://` URL, and sends the head of a request.
pub(super) fn send_head(
    method: &str,
    url: &str,
    headers: &[String],
) -> Result<TcpStream, Box<dyn Error>> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| format!("not plain HTTP: {url}"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut head =
        format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n");
    for header in headers {
        write!(head, "{header}\r\n")?;
    }
    head.push_str("Connection: close\r\n\r\n");
    let mut stream = TcpStream::connect(host).map_err(|error| format!("{host}: {error}"))?;
    stream.set_nodelay(true)?;
    stream.write_all(head.as_bytes())?;
    Ok(stream)
}

/// Reads the head of an answer.
pub(super) fn read_head(stream: TcpStream) -> Result<Answer, Box<dyn Error>> {
    let mut body = BufReader::new(stream);
    let (mut status, mut len_bytes) = (None, None);
    let mut head = (&mut body).take(HEAD_BYTES);
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Err("the server closed the connection".into());
        }
        let line = line.trim_end();
        match (status, line.split_once(':')) {
            (None, _) => status = line.split(' ').nth(1).and_then(|code| code.parse().ok()),
            // An interim answer, such as 100, has a head of its own.
            (Some(100..200), _) if line.is_empty() => status = None,
            _ if line.is_empty() => break,
            (_, Some((name, value))) if name.eq_ignore_ascii_case("content-length") => {
                len_bytes = value.trim().parse().ok();
            }
            _ => {}
        }
    }
    Ok(Answer {
        status: status.ok_or("not an answer of HTTP")?,
        len_bytes,
        body,
    })
}

/// Sends a request with a small body, and returns the body of an answer that is no refusal.
pub(super) fn request(
    method: &str,
    url: &str,
    headers: &[String],
    body: &[u8],
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut headers = headers.to_vec();
    headers.push(format!("Content-Length: {}", body.len()));
    let mut stream = send_head(method, url, &headers)?;
    stream.write_all(body)?;
    let answer = read_head(stream)?;
    let status = answer.status;
    let body = answer.read()?;
    if !(200..300).contains(&status) {
        let text = String::from_utf8_lossy(&body);
        return Err(format!("{method} {url}: {status} {text}").into());
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn answer_of(head: &'static str) -> Result<Vec<u8>, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = [0; 4096];
            let len = stream.read(&mut seen).unwrap();
            assert!(seen[..len].starts_with(b"GET /x HTTP/1.1\r\n"));
            stream.write_all(head.as_bytes()).unwrap();
        });
        let answer = request("GET", &url, &[], b"");
        server.join().unwrap();
        answer.map_err(|error| error.to_string())
    }

    #[test]
    fn body_is_read_up_to_its_length_or_the_end() {
        let with_length = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabc";
        assert_eq!(answer_of(with_length).unwrap(), b"ab");
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nA: b\r\n\r\nabc";
        assert_eq!(answer_of(interim).unwrap(), b"abc");
    }

    #[test]
    fn refusal_and_what_is_cut_short_are_errors() {
        let refused = answer_of("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone");
        assert!(refused.unwrap_err().ends_with("/x: 404 gone"));
        for cut in ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"] {
            assert!(answer_of(cut).is_err(), "{cut:?}");
        }
    }
}
