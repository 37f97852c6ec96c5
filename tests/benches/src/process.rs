//! The processes that are measured: started with an environment and nothing else, asked until they answer, and read
//! about in `/proc`. Linux only.

use crate::Outcome;
use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a process may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts to reach it.
const BETWEEN: Duration = Duration::from_micros(200);
const TASKSET: &str = "/usr/bin/taskset";
/// Clock ticks a second of the times in `/proc/PID/stat`: what Linux tells user space on every architecture.
const TICKS: f64 = 100.0;

/// Variables of an environment.
pub type Environment = BTreeMap<String, String>;

/// A process that serves HTTP. It ends when this is dropped.
pub struct Service {
    pub address: SocketAddr,
    /// From its start to its first answer.
    pub started_in: Duration,
    process: Child,
}

impl Service {
    /// Starts the program and waits until it answers at `path`. Its port is in `PORT`, and where arguments say `{port}`.
    pub fn start(program: &Path, arguments: &[&str], environment: &Environment, path: &str) -> Outcome<Self> {
        let address = emulators::free_address()?;
        let mut command = Command::new(program);
        let port = address.port().to_string();
        command.args(arguments.iter().map(|argument| argument.replace("{port}", &port)));
        command.env_clear().envs(environment).stdin(Stdio::null()).stdout(Stdio::null());
        command.env("HOST", "127.0.0.1").env("PORT", port).env("MALLOC_ARENA_MAX", "2");
        let begun = Instant::now();
        let mut process = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        while !answers(address, path) {
            if let Some(status) = process.try_wait()? {
                return Err(format!("{} ended with {status}", program.display()).into());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} does not answer", program.display()).into());
            }
            std::thread::sleep(BETWEEN);
        }
        Ok(Service { address, started_in: begun.elapsed(), process })
    }

    /// The same on one CPU, as HTTP functions are deployed.
    pub fn on_one_cpu(program: &Path, arguments: &[&str], environment: &Environment, path: &str) -> Outcome<Self> {
        let program = program.display().to_string();
        let arguments: Vec<_> = ["--cpu-list", "0", &program].iter().chain(arguments).copied().collect();
        Service::start(Path::new(TASKSET), &arguments, environment, path)
    }

    /// A function, from the binary of its own.
    pub fn function(name: &str, environment: &Environment) -> Outcome<Self> {
        Service::start(&binary(name)?, &[], environment, "/healthz")
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already; there is nothing left to do then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// While it lives, this process and what it starts leave the first CPU to the services that are held to it.
pub struct Aside {
    cpus: usize,
}

impl Aside {
    pub fn step() -> Outcome<Self> {
        let cpus = std::thread::available_parallelism()?.get();
        if cpus > 1 {
            move_to(&format!("1-{}", cpus - 1))?;
        }
        Ok(Aside { cpus })
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What is measured next tells its load, if this fails.
        let _ = move_to(&format!("0-{}", self.cpus - 1));
    }
}

/// Moves every thread of this process to these CPUs.
fn move_to(cpus: &str) -> Outcome<()> {
    let id = std::process::id().to_string();
    let moved = Command::new(TASKSET).args(["--all-tasks", "--pid", "--cpu-list", cpus, &id]).output()?;
    if moved.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&moved.stderr).into_owned().into()) }
}

/// A binary of the same build as this one.
pub fn binary(name: &str) -> Outcome<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// True if a request gets the status 200.
fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// Processor time of a process and its ended threads, in seconds; to a hundredth of one.
pub fn cpu(process: u32) -> Outcome<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    Ok(fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS)
}

/// Processor time of the threads that a process has, in seconds; to a nanosecond.
pub fn cpu_of_threads(process: u32) -> Outcome<f64> {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end while its folder is read.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanoseconds += text.split_whitespace().next().and_then(|time| time.parse::<f64>().ok()).unwrap_or_default();
    }
    Ok(nanoseconds / 1e9)
}

/// Resident memory now and at most so far, in MiB.
pub fn memory(process: u32) -> Outcome<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
    };
    Ok((mib("VmRSS:"), mib("VmHWM:")))
}

/// The one in the middle.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
