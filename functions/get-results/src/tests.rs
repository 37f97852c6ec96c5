use super::*;
use domain::{ItemError, Outcome, Run};
use service::{
    runs::shards,
    testing::{Bench, Reply, completed},
};

async fn page(bench: &Bench, user: &str, run: &Run, query: &str) -> Reply {
    bench.get(FUNCTION, user, &format!("/api/v1/batches/{}/results{query}", run.job_id)).await
}

fn names(reply: &Reply) -> Vec<String> {
    let rows = reply.body["results"].as_array().unwrap();
    rows.iter().map(|row| row["ligand_name"].as_str().unwrap().to_owned()).collect()
}

/// The names on every page of so many.
async fn walk(bench: &Bench, run: &Run, query: &str, limit: u32) -> Vec<String> {
    let (mut all, mut cursor) = (vec![], String::new());
    loop {
        let reply = page(bench, "u1", run, &format!("?limit={limit}{query}{cursor}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        all.extend(names(&reply));
        assert_eq!(reply.body["has_more"], !reply.body["next_cursor"].is_null());
        match reply.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn expected(indices: impl Iterator<Item = u32>) -> Vec<String> {
    indices.map(|index| format!("ligand {index}")).collect()
}

#[tokio::test]
async fn pages_of_the_ranked_file_are_those_of_all_rows_sorted_at_once() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 25).await;
    let best_first = expected((1..=25).rev());
    for limit in [1, 7, 24, 25, 26, 500] {
        assert_eq!(walk(&bench, &run, "", limit).await, best_first, "from the file, limit {limit}");
        assert_eq!(walk(&bench, &run, "&status=completed", limit).await, best_first, "sorted, limit {limit}");
        assert_eq!(walk(&bench, &run, "&sort=affinity_prob", limit).await, best_first, "named, limit {limit}");
    }
    let all = page(&bench, "u1", &run, "?limit=500").await;
    let sorted = page(&bench, "u1", &run, "?limit=500&status=completed").await;
    assert_eq!(all.body, sorted.body);
    let ranks: Vec<_> = all.body["results"].as_array().unwrap().iter().map(|row| row["rank"].as_u64()).collect();
    assert_eq!(ranks, (1..=25).map(Some).collect::<Vec<_>>());
    assert_eq!((&all.body["total"], &all.body["complete"]), (&25.into(), &true.into()));
    assert!(all.body["results"][0].get("files").is_none());
}

#[tokio::test]
async fn rows_are_sorted_by_any_score_its_better_end_first() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 5).await;
    let (rising, falling) = (expected(1..=5), expected((1..=5).rev()));
    assert_eq!(walk(&bench, &run, "&sort=affinity", 2).await, falling, "the lower affinity is the stronger");
    assert_eq!(walk(&bench, &run, "&sort=affinity&order=desc", 2).await, rising);
    assert_eq!(walk(&bench, &run, "&sort=iptm_score", 2).await, falling);
    assert_eq!(walk(&bench, &run, "&order=asc", 2).await, rising);
}

#[tokio::test]
async fn rows_are_filtered_by_status_and_by_their_sorting_score() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 5).await;
    assert_eq!(walk(&bench, &run, "&min=0.002&max=0.004", 2).await, expected((2..=4).rev()));
    assert_eq!(walk(&bench, &run, "&sort=affinity&max=-0.004", 2).await, expected((4..=5).rev()));
    let none = page(&bench, "u1", &run, "?status=failed").await;
    assert_eq!((names(&none).len(), &none.body["total"]), (0, &0.into()));
}

#[tokio::test]
async fn a_page_past_the_end_is_empty_and_the_last() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 5).await;
    for query in ["?cursor=5", "?cursor=18446744073709551615", "?cursor=18446744073709551615&status=completed"] {
        let reply = page(&bench, "u1", &run, query).await;
        assert_eq!((reply.status, names(&reply).len(), &reply.body["has_more"]), (200, 0, &false.into()), "{query}");
    }
}

#[tokio::test]
async fn results_are_read_while_the_batch_runs() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    assert_eq!(names(&page(&bench, "u1", &run, "").await).len(), 0);
    let failed = Outcome::failed(3, ItemError::new("out_of_memory", "too large"));
    bench.report(&run, 0, 1, false, vec![completed(&run, 1, 1), completed(&run, 2, 1), failed]).await;
    shards::refresh(&bench.world, &run.uid, &run.job_id, 0).await.unwrap();
    let reply = page(&bench, "u1", &run, "").await;
    assert_eq!(names(&reply), ["ligand 2", "ligand 1", "ligand 3"], "a failed one comes last");
    assert_eq!((&reply.body["complete"], &reply.body["total"]), (&false.into(), &3.into()));
    assert_eq!(walk(&bench, &run, "&status=failed", 1).await, ["ligand 3"]);
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 2).await;
    for query in [
        "?limit=0",
        "?limit=501",
        "?limit=x",
        "?cursor=x",
        "?cursor=-1",
        "?sort=name",
        "?order=up",
        "?min=x",
        "?status=queued",
        "?page=2",
    ] {
        let reply = page(&bench, "u1", &run, query).await;
        assert_eq!((reply.status, reply.pointers().len()), (400, 1), "{query} {reply:?}");
    }
    let reply = page(&bench, "u1", &run, "?sort=name").await;
    assert!(reply.text("/errors/0/reason").contains("affinity_prob"), "it lists the scores there are");
}

#[tokio::test]
async fn another_users_results_are_not_there() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 2).await;
    assert_eq!(page(&bench, "u2", &run, "").await.status, 404);
    for id in [run.job_id.to_string(), run.job_id.child(1)] {
        assert_eq!(bench.get(FUNCTION, "u2", &format!("/api/v1/jobs/{id}/results")).await.status, 404);
    }
}

#[tokio::test]
async fn older_clients_read_the_result_of_one_item_or_a_page_of_all() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 5).await;
    let ask = async |id: String| bench.get(FUNCTION, "u1", &format!("/api/v1/jobs/{id}/results")).await;
    let item = ask(run.job_id.child(2)).await;
    assert_eq!((item.status, item.text("/ligand_name"), &item.body["affinity_prob"]), (200, "ligand 2", &0.002.into()));
    assert!(item.body.get("files").is_none());
    assert_eq!(ask(run.job_id.to_string()).await.body["total"], 5);
    let single = bench.predict("u1").await;
    let early = ask(single.job_id.to_string()).await;
    assert_eq!((early.status, &early.body["retry_after"]), (409, &5.into()));
    let now = bench.now();
    bench.change(&single, |run| run.cancel(now)).await;
    assert_eq!(ask(single.job_id.to_string()).await.status, 404, "nothing more will come");
    assert_eq!(ask(run.job_id.child(6)).await.status, 404);
    let item = format!("/api/v1/jobs/{}/results?limit=0", run.job_id.child(2));
    assert_eq!(bench.get(FUNCTION, "u1", &item).await.status, 400, "also where it plays no part");
}
