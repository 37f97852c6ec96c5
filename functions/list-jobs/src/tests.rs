use super::*;
use domain::Run;
use service::testing::{Bench, Reply};

async fn list(bench: &Bench, user: &str, query: &str) -> Reply {
    bench.get(FUNCTION, user, &format!("/api/v1/jobs{query}")).await
}

fn ids(reply: &Reply) -> Vec<String> {
    let jobs = reply.body["jobs"].as_array().unwrap();
    jobs.iter().map(|job| job["job_id"].as_str().unwrap().to_owned()).collect()
}

/// Every page of so many, one after the other.
async fn pages(bench: &Bench, user: &str, limit: u32) -> Vec<Vec<String>> {
    let (mut pages, mut query) = (vec![], format!("?limit={limit}"));
    loop {
        let reply = list(bench, user, &query).await;
        pages.push(ids(&reply));
        assert_eq!(reply.body["has_more"], !reply.body["next_cursor"].is_null());
        match reply.body["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit={limit}&cursor={cursor}"),
            None => return pages,
        }
    }
}

/// Five runs, of which the last two came at the same moment; the newest first.
async fn five(bench: &Bench) -> Vec<Run> {
    let mut runs = vec![];
    for n in 0..5 {
        if n < 4 {
            bench.wait(1);
        }
        runs.push(if n % 2 == 0 { bench.predict("u1").await } else { bench.submit("u1", 2).await });
    }
    runs.reverse();
    runs
}

#[tokio::test]
async fn pages_give_every_job_once_the_newest_first() {
    let bench = Bench::new().await;
    let runs = five(&bench).await;
    for limit in 1..=6 {
        let pages = pages(&bench, "u1", limit).await;
        assert!(pages.iter().all(|page| page.len() <= limit as usize));
        let all = pages.concat();
        let mut names: Vec<_> = runs.iter().map(|run| run.job_id.to_string()).collect();
        assert_eq!(all[2..], names[2..], "limit {limit}");
        let mut together = all.clone();
        together.sort();
        names.sort();
        assert_eq!(together, names, "the two of the same moment are both there");
    }
}

#[tokio::test]
async fn a_cursor_of_another_user_leads_to_ones_own_jobs_only() {
    let bench = Bench::new().await;
    five(&bench).await;
    let own = bench.predict("u2").await;
    let cursor = list(&bench, "u1", "?limit=1").await.text("/next_cursor").to_owned();
    let reply = list(&bench, "u2", &format!("?cursor={cursor}")).await;
    assert_eq!(reply.status, 200);
    assert!(ids(&reply).iter().all(|id| *id == own.job_id.as_str()), "{reply:?}");
    assert_eq!(ids(&list(&bench, "u2", "").await), [own.job_id.as_str()]);
}

#[tokio::test]
async fn filters_leave_what_fits() {
    let bench = Bench::new().await;
    let runs = five(&bench).await;
    let now = bench.now();
    bench.change(&runs[0], |run| run.cancel(now)).await;
    let count = async |query: &str| ids(&list(&bench, "u1", query).await).len();
    assert_eq!((count("?status=cancelled").await, count("?status=queued").await), (1, 4));
    assert_eq!((count("?type=individual").await, count("?type=batch_parent").await), (3, 2));
    assert_eq!((count("?model=boltz2").await, count("?model=chai1").await), (5, 0));
    assert_eq!(count("?model=boltz2&type=individual&status=queued").await, 2);
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let bench = Bench::new().await;
    for query in
        ["?limit=0", "?limit=501", "?limit=x", "?cursor=x", "?cursor=%21", "?status=done", "?type=x", "?page=2"]
    {
        let reply = list(&bench, "u1", query).await;
        assert_eq!((reply.status, reply.pointers().len()), (400, 1), "{query} {reply:?}");
    }
    assert_eq!(list(&bench, "stranger", "").await.status, 401);
}
