//! Part a: every HTTP function, as a process of its own on embedded storage, beside a bare axum service in the same run.

pub mod requests;

use crate::{
    Outcome,
    load::{Answer, Figures, Request, expect, load, send},
    place::Place,
    process::{Aside, Environment, Service, binary},
    readme::{ASKED, Part, asked, short},
};
use axum::{Router, routing::get};
use requests::{Writing, prepare, reads, text, writing};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use tokio::net::TcpListener;

/// Requests that are measured, those sent before them, and how many a second: of what only reads, and of what writes.
const READS: (usize, usize, f64) = (3000, 500, 1000.0);
const WRITES: (usize, usize, f64) = (300, 50, 100.0);
/// What a GET of one job may take, in processor times of a bare axum service.
const AT_MOST: f64 = 3.0;

/// The service everything is compared with.
pub async fn hello(port: u16) -> Outcome<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, Router::new().route("/", get(async || "hello"))).await?)
}

pub async fn measure() -> Outcome<Part> {
    let place = Place::new()?;
    let known = prepare(&place).await?;
    let _aside = Aside::step()?;
    let environment = place.environment()?;
    let mut rows = vec![];
    let (mut bare, mut limits) = (f64::NAN, vec![]);
    let reader = place.token("maria")?;
    for (name, status, method, path, body) in reads(&known) {
        let service = start(name, &environment)?;
        let one = Request::new(method, &path, &reader, body.as_ref().map(Value::to_string).as_deref());
        let (figures, _) = warmed(name, &service, READS, status, &vec![one; READS.0 + READS.1]).await?;
        match name {
            "bare axum" => bare = figures.cpu,
            "get-job, a finished prediction" | "get-job, a batch" => {
                limits.push(asked(
                    &format!("processor time of {name}, in those of bare axum"),
                    AT_MOST,
                    figures.cpu / bare,
                    "×",
                ));
            }
            _ => {}
        }
        rows.push(row(name, method, READS.2, &figures, bare));
    }
    rows.extend(writes(&place, &environment).await?);
    let mut part = Part::new('a');
    part.table(&ASKED, &limits);
    let head = ["", "method", "requests a second", "CPU a request, µs", "× bare axum", "p50, ms", "p99, ms"];
    part.table(&head, &rows);
    Ok(part)
}

/// Starts what a name begins with, up to a comma.
fn start(name: &str, environment: &Environment) -> Outcome<Service> {
    if name != "bare axum" {
        let program = binary(name.split(',').next().unwrap_or(name))?;
        return Service::on_one_cpu(&program, &[], environment, "/healthz");
    }
    Service::on_one_cpu(&std::env::current_exe()?, &["hello"], &Environment::new(), "/")
}

/// Sends the first requests unmeasured. Returns all answers.
async fn warmed(
    name: &str,
    service: &Service,
    (_, before, rate): (usize, usize, f64),
    status: u16,
    requests: &[Request],
) -> Outcome<(Figures, Vec<Answer>)> {
    let (first, rest) = requests.split_at(before);
    let mut answers: Vec<_> = send(service.address, rate, first).await?.into_iter().map(|(_, answer)| answer).collect();
    let (figures, others) = load(service.address, service.id(), rate, rest).await?;
    answers.extend(others);
    expect(name, status, &answers)?;
    Ok((figures, answers))
}

fn row(name: &str, method: &str, rate: f64, figures: &Figures, bare: f64) -> Vec<String> {
    let milliseconds = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1000.0);
    vec![
        name.to_owned(),
        method.to_owned(),
        format!("{rate}"),
        format!("{:.0}", figures.cpu * 1e6),
        short(figures.cpu / bare),
        milliseconds(figures.p50),
        milliseconds(figures.p99),
    ]
}

/// What writes: each request is another user's, and what one function makes the next one works on.
async fn writes(place: &Place, environment: &Environment) -> Outcome<Vec<Vec<String>>> {
    let tokens = (0..WRITES.0 + WRITES.1).map(|user| place.token(&format!("user-{user}")));
    let tokens = tokens.collect::<Outcome<Vec<_>>>()?;
    let bare = start("bare axum", environment)?;
    let (figures, _) =
        warmed("bare axum", &bare, WRITES, 200, &requests(&tokens, "GET", |_| ("/".into(), None))).await?;
    let mut rows = vec![row("bare axum", "GET", WRITES.2, &figures, figures.cpu)];
    let bare = figures.cpu;
    let mut ids = BTreeMap::<&str, Vec<String>>::new();
    for Writing { name, status, method, path, body, needs, makes } in writing() {
        let service = start(name, environment)?;
        let request = |user: usize| {
            let id = ids.get(needs).and_then(|ids| ids.get(user)).map_or("", String::as_str);
            (path.replace("{id}", id), body(user))
        };
        let (figures, answers) = warmed(name, &service, WRITES, status, &requests(&tokens, method, request)).await?;
        rows.push(row(name, method, WRITES.2, &figures, bare));
        if !makes.is_empty() {
            let made = answers.iter().map(|answer| Ok(text(&serde_json::from_slice(&answer.body)?, makes)));
            ids.insert(makes, made.collect::<Outcome<_>>()?);
        }
    }
    Ok(rows)
}

fn requests(tokens: &[String], method: &str, of: impl Fn(usize) -> (String, Option<Value>)) -> Vec<Request> {
    let request = |(user, token): (usize, &String)| {
        let (path, body) = of(user);
        Request::new(method, &path, token, body.map(|body| body.to_string()).as_deref())
    };
    tokens.iter().enumerate().map(request).collect()
}
