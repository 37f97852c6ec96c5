//! Requests at a fixed rate over a few connections that stay open. Each has its moment, whether those before it were
//! answered or not: what a request waits for a free connection counts as its own time. Or as fast as they are answered:
//! then a request's time begins when there is a connection for it.

use crate::{Outcome, process::cpu_of_threads};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Mutex,
    time::{Instant, sleep_until},
};

const CONNECTIONS: usize = 16;
/// The rate of requests that are sent as fast as they are answered, one after the other over each connection.
pub const AS_ANSWERED: f64 = f64::INFINITY;

/// One request, as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Request(Vec<u8>);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// What a load came to.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Processor time of the service for one request, in seconds.
    pub cpu: f64,
    /// Requests that were answered in a second.
    pub answered: f64,
    pub p50: Duration,
    pub p99: Duration,
}

impl Request {
    /// With a bearer token, and a JSON body where there is one.
    pub fn new(method: &str, path: &str, token: &str, body: Option<&str>) -> Self {
        let token = format!("Bearer {token}");
        let json = ("content-type", "application/json");
        let headers = [("authorization", token.as_str()), json];
        Request::bytes(method, path, &headers[..1 + usize::from(body.is_some())], body.unwrap_or_default().as_bytes())
    }

    /// With these headers and this body.
    pub fn bytes(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            text.extend([*name, ": ", *value, "\r\n"]);
        }
        text.push_str("\r\n");
        Request([text.as_bytes(), body].concat())
    }
}

/// Sends each request `rate` to the second and takes the times. `process` is the service's. Returns the answers, too.
pub async fn load(
    address: SocketAddr,
    process: u32,
    rate: f64,
    requests: &[Request],
) -> Outcome<(Figures, Vec<Answer>)> {
    let (cpu, begun) = (cpu_of_threads(process)?, Instant::now());
    let (mut times, answers): (Vec<_>, Vec<_>) = send(address, rate, requests).await?.into_iter().unzip();
    let answered = requests.len() as f64 / begun.elapsed().as_secs_f64();
    let cpu = (cpu_of_threads(process)? - cpu) / requests.len() as f64;
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Ok((Figures { cpu, answered, p50: at(0.5), p99: at(0.99) }, answers))
}

/// Sends each request `rate` to the second; how long each took, and its answer, in their order.
pub async fn send(address: SocketAddr, rate: f64, requests: &[Request]) -> Outcome<Vec<(Duration, Answer)>> {
    let (connections, requests) = (CONNECTIONS.min(requests.len()), requests.to_vec());
    let queue = Arc::new(Mutex::new(requests.into_iter().enumerate()));
    let begin = Instant::now() + Duration::from_millis(20);
    let mut workers = vec![];
    for _ in 0..connections {
        let queue = queue.clone();
        workers.push(tokio::spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut done = vec![];
            loop {
                let Some((n, request)) = queue.lock().await.next() else { return Outcome::Ok(done) };
                let paced = || begin + Duration::from_secs_f64(n as f64 / rate);
                let due = if rate == AS_ANSWERED { Instant::now() } else { paced() };
                sleep_until(due).await;
                let answer = connection.ask(&request).await?;
                done.push((n, due.elapsed(), answer));
            }
        }));
    }
    let mut done = vec![];
    for worker in workers {
        done.extend(worker.await??);
    }
    done.sort_by_key(|(n, ..)| *n);
    Ok(done.into_iter().map(|(_, time, answer)| (time, answer)).collect())
}

/// An open connection.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: vec![] })
    }

    /// Sends a request and reads its answer, which says how long it is.
    async fn ask(&mut self, request: &Request) -> Outcome<Answer> {
        self.stream.write_all(&request.0).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.read().await?;
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        match length {
            Some(length) => {
                let end = head + length.trim().parse::<usize>()?;
                while self.buffer.len() < end {
                    self.read().await?;
                }
            }
            None if text.contains("transfer-encoding: chunked") => {
                while !self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                    self.read().await?;
                }
            }
            None => {}
        }
        Ok(Answer { status, body: self.buffer[head..].to_vec() })
    }

    async fn read(&mut self) -> Outcome<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the connection was closed".into()),
            _ => Ok(()),
        }
    }
}

/// Refuses answers with any other status.
pub fn expect(what: &str, status: u16, answers: &[Answer]) -> Outcome<()> {
    match answers.iter().find(|answer| answer.status != status) {
        None => Ok(()),
        Some(answer) => Err(format!("{what}: {} {}", answer.status, String::from_utf8_lossy(&answer.body)).into()),
    }
}
