//! Measures what was promised of times, memory and costs, and writes the tables of the README. `tests/benches/run` builds
//! and starts it; its arguments are the letters of the parts to measure. Nothing here is a test: a figure that is missed
//! is shown, with the exit code of success.

mod fan_out;
mod http;
mod inner;
mod library;
mod load;
mod made_up;
mod place;
mod process;
mod readme;
mod results;
mod start;
mod step;
mod submission;

use readme::Part;
use std::{error::Error, process::ExitCode};

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// All parts, in the order in which they are measured: what needs a quiet machine least comes first.
const PARTS: [&str; 7] = ["a", "b", "c", "d", "e", "g", "inner"];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let runtime = service::start::runtime().map_err(Into::into);
    match runtime.and_then(|runtime| runtime.block_on(run(&arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error: Box<dyn Error + Send + Sync> = error;
            eprintln!("benches: {}", service::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Outcome<()> {
    if arguments == ["hello"] {
        let port = service::start::environment().remove("PORT").unwrap_or_default();
        return http::hello(port.parse()?).await;
    }
    // One set of results is written and read: e and f are one.
    let named = |name: &String| if name == "f" { "e".to_owned() } else { name.clone() };
    let wanted: Vec<_> = arguments.iter().map(named).collect();
    if let Some(unknown) = wanted.iter().find(|name| !PARTS.contains(&name.as_str())) {
        return Err(format!("there is no part {unknown:?}; there are {} and f", PARTS.join(", ")).into());
    }
    let mut missing = vec![];
    for name in PARTS.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)) {
        match part(name).await {
            Ok(parts) => parts.iter().try_for_each(|part| part.write(place::now()))?,
            Err(error) => missing.push(format!("{name}: {}", service::chain(error.as_ref()))),
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(format!("not measured: {}", missing.join("; ")).into()) }
}

async fn part(name: &str) -> Outcome<Vec<Part>> {
    Ok(match name {
        "a" => vec![http::measure().await?],
        "b" => vec![submission::measure().await?],
        "c" => vec![start::measure()?],
        "d" => vec![library::measure().await?],
        "e" => results::measure().await?.into(),
        "g" => vec![fan_out::measure().await?],
        _ => vec![inner::measure()?],
    })
}
