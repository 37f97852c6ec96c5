//! The Firestore and Pub/Sub emulators of the Google Cloud SDK, as child processes on free ports of this machine. They
//! are found where `gcloud` says the SDK is; where it is not, a test that needs them is to be reported as ignored.

mod pubsub;

pub use pubsub::PubSub;

use std::{
    fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

/// An emulator is up in one or two seconds where nothing else runs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Below the ports of outgoing connections, which begin at 32768.
const PORTS: Range<u16> = 20_000..30_000;

/// What starts both quickly and small.
const JAVA: [&str; 3] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Duser.language=en"];

/// An installed SDK that has both emulators.
#[derive(Clone, Debug)]
pub struct Sdk {
    firestore: PathBuf,
    pubsub: PathBuf,
}

/// A running emulator. It ends when this is dropped.
pub struct Emulator {
    pub address: SocketAddr,
    process: Child,
}

impl Sdk {
    /// The SDK, if it is installed with both emulators and a Java to run them.
    pub fn find() -> Option<Sdk> {
        let asked = Command::new("gcloud").args(["info", "--format=value(installation.sdk_root)"]).output().ok()?;
        let platform = Path::new(String::from_utf8(asked.stdout).ok()?.trim()).join("platform");
        let firestore = platform.join("cloud-firestore-emulator/cloud-firestore-emulator.jar");
        let mut jars = fs::read_dir(platform.join("pubsub-emulator/lib")).ok()?.flatten().map(|entry| entry.path());
        let pubsub = jars.find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("cloud-pubsub-emulator-") && name.ends_with("-all.jar")
        })?;
        let java = Command::new("java").arg("-version").stderr(Stdio::null()).status();
        (firestore.exists() && java.is_ok_and(|status| status.success())).then_some(Sdk { firestore, pubsub })
    }

    /// Starts Firestore. Document events are posted to `events`, if it is given, one attempt each.
    pub fn firestore(&self, events: Option<SocketAddr>) -> io::Result<Emulator> {
        let mut java = Command::new("java");
        java.args(JAVA).arg("-Xmx512m").arg("-cp").arg(&self.firestore);
        java.arg("com.google.cloud.datastore.emulator.firestore.CloudFirestore");
        if let Some(events) = events {
            java.arg("--functions_emulator").arg(events.to_string());
        }
        Emulator::start(java, |port| ["--host".into(), "127.0.0.1".into(), "--port".into(), port])
    }

    /// Starts Pub/Sub.
    pub fn pubsub(&self) -> io::Result<Emulator> {
        let mut java = Command::new("java");
        java.args(JAVA).arg("-Xmx256m").arg("-jar").arg(&self.pubsub);
        Emulator::start(java, |port| ["--host=127.0.0.1".into(), format!("--port={port}")])
    }
}

/// An address of this machine that nobody listens on, for a process that is started next. Its port lies below those
/// the system gives to outgoing connections, so that none of them takes it meanwhile.
pub fn free_address() -> io::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = (std::process::id() % 1000) as u16 * 10;
    for _ in 0..PORTS.len() {
        let offset = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS.len() as u16;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", PORTS.start + offset)) {
            return listener.local_addr();
        }
    }
    Err(io::Error::other("no port is free"))
}

impl Emulator {
    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Starts it on a free port, and waits until it answers.
    fn start<const N: usize>(mut java: Command, arguments: impl FnOnce(String) -> [String; N]) -> io::Result<Self> {
        let address = free_address()?;
        java.args(arguments(address.port().to_string()));
        let process = java.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut emulator = Emulator { address, process };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = emulator.process.try_wait()? {
                return Err(io::Error::other(format!("the emulator ended with {status}")));
            }
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other("the emulator does not answer"));
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(emulator)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended already; there is nothing left to do then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
