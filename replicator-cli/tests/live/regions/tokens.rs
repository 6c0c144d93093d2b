//! A run that outlives its tokens many times, with an upload that outlives one.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::clouds::{add_image, bytes};
use crate::assert_replicated;
use crate::keystone::{PASSWORD, Shell, sign_in, variable};
use crate::server::Server;

const SMALL_IMAGES: usize = 16;
const LARGE_BYTES: usize = 24 * 1024 * 1024;
/// Of each connection to the target: the large image takes a minute.
const BYTES_PER_SECOND: usize = LARGE_BYTES / 60;
/// Before each request of the target: with it, and with one image at a time, the run takes more than
/// two minutes.
const DELAY: Duration = Duration::from_millis(1700);

/// Stands before a server, and counts the connections, of which each has one request:
/// the server closes it after its answer.
struct Front {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl Front {
    fn before(url: &str, delay: Duration, bytes_per_second: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let front = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            connections: Arc::default(),
        };
        let server = url.trim_start_matches("http://").to_owned();
        let connections = Arc::clone(&front.connections);
        // It ends with the process of the test.
        thread::spawn(move || {
            for client in listener.incoming() {
                connections.fetch_add(1, Ordering::Relaxed);
                let client = client.unwrap();
                let server = TcpStream::connect(&server).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    thread::sleep(delay);
                    pass_on(from, to, Some(bytes_per_second))
                });
                thread::spawn(move || pass_on(server, client, None));
            }
        });
        front
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, pace: Option<usize>) -> io::Result<()> {
    let (began, mut passed) = (Instant::now(), 0);
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let len = from.read(&mut chunk)?;
        if len == 0 {
            return to.shutdown(Shutdown::Write);
        }
        to.write_all(&chunk[..len])?;
        passed += len;
        if let Some(pace) = pace {
            let due = Duration::from_secs_f64(passed as f64 / pace as f64);
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }
}

#[test]
fn tokens_that_live_20_seconds_are_renewed_in_a_long_run_and_not_for_every_request() {
    let (one, two) = (Server::empty("region-one"), Server::empty("region-two"));
    let alice = sign_in("alice", "alpha");
    let mut data: crate::images::Data = (1..=SMALL_IMAGES)
        .map(|number| (add_image(&one, number, &alice), bytes(number)))
        .collect();
    let large = "00000000-0000-4000-8000-ffffffffffff";
    let content = b"0123456789abcdef".repeat(LARGE_BYTES / 16);
    let record = json!({"id": large, "name": "large", "visibility": "private",
        "disk_format": "raw", "container_format": "bare"});
    one.create_v2(&record, Some(content.clone()));
    data.insert(large.to_owned(), content);

    let keystone = variable("KEYSTONE");
    let fronts = [(); 2].map(|()| Front::before(&keystone, Duration::ZERO, usize::MAX));
    let target = Front::before(&two.url, DELAY, BYTES_PER_SECOND);
    let entry = |name: &str, front: &Front, more: &str| {
        format!(
            "  {name}: {{region_name: RegionOne, {more} auth: {{auth_url: '{}/life-20/v3', \
             username: admin, password: {PASSWORD}, project_name: admin}}}}\n",
            front.url
        )
    };
    let [at_source, at_target] = &fronts;
    let over = format!("image_endpoint_override: '{}',", target.url);
    let clouds = [entry("one", at_source, ""), entry("two", at_target, &over)].concat();
    let shell = Shell::of_clouds(&format!("clouds:\n{clouds}"));

    let began = Instant::now();
    let args = ["livecopy", "cloud:one", "cloud:two", "--transfers", "1"];
    let log = shell.run(0, &args).stderr;
    let seconds = began.elapsed().as_secs();

    assert!(
        seconds >= 90,
        "it has to outlive tokens: {seconds} s\n{log}"
    );
    assert_replicated(&one, &two, &data);
    let images = data.len();
    assert!(log.contains(&format!("{images} copied")), "{log}");
    assert!(!log.contains(" failed"), "{log}");
    assert!(log.contains("tokens live for 20s alone"), "{log}");
    let requests = target.connections();
    assert!(requests > 2 * images, "{requests}");
    for front in &fronts {
        let tokens = front.connections();
        // Of 20 s, a token lives 15 before it is renewed, 5 before an upload.
        assert!(tokens >= 3, "{tokens} sign-ins in {seconds} s");
        assert!(
            tokens as u64 <= seconds / 5 + 2,
            "{tokens} sign-ins in {seconds} s"
        );
    }
}
