//! Reading results: by the page, sorted and filtered, while the run is on and after it; progress that only rises.

use crate::{id, start};
use journeys::{Client, inputs::batch, is_final};
use serde_json::{Value, json};
use std::time::Duration;

const SLOW: [(&str, &str); 1] = [("STAND_IN_ITEM_SECONDS", "0.15")];

fn numbers(rows: &[Value], score: &str) -> Vec<f64> {
    rows.iter().map(|row| row[score].as_f64().unwrap()).collect()
}

#[tokio::test]
async fn results_are_readable_while_the_run_is_on_and_progress_only_rises() {
    let hub = start(&SLOW).await;
    let submitted = hub.client.post("/api/v1/predict/batch", &batch(20)).await.json(202);
    let address = format!("/api/v1/batches/{}", id(&submitted));
    let (mut milestones, mut partial, mut last) = (vec![0], 0, (0.0, 0, 0.0));
    loop {
        let view = hub.client.get(&address).await.json(200);
        let page = hub.client.get(&format!("{address}/results")).await.json(200);
        let number = |value: &Value| value.as_f64().unwrap();
        let now = (
            number(&view["progress"]["percent"]),
            page["total"].as_u64().unwrap(),
            number(&view["cost"]["gpu_seconds"]),
        );
        assert!(now.0 >= last.0 && now.1 >= last.1 && now.2 >= last.2, "{now:?} after {last:?}");
        last = now;
        milestones.push(view["progress"]["milestone"].as_u64().unwrap());
        let probabilities = numbers(page["results"].as_array().unwrap(), "affinity_prob");
        assert!(probabilities.is_sorted_by(|a, b| a >= b), "{probabilities:?}");
        assert_eq!(page["results"].as_array().unwrap().len() as u64, now.1);
        partial += u64::from((1..20).contains(&now.1));
        if is_final(&view) {
            assert_eq!(view["status"], "completed");
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(partial > 1, "results came one by one");
    assert!(milestones.is_sorted() && *milestones.last().unwrap() == 100, "{milestones:?}");
    assert!(milestones.iter().any(|milestone| (1..100).contains(milestone)), "{milestones:?}");
    let ended = hub.client.get(&address).await.json(200);
    let estimated = |view: &Value| view["cost"]["estimated_usd"].as_f64();
    assert!(estimated(&submitted).unwrap() > 0.0 && estimated(&ended) == estimated(&submitted));
    assert!(ended["cost"]["actual_usd"].as_f64().unwrap() > 0.0, "{}", ended["cost"]);
}

/// Every row, read in pages of seven.
async fn paged(client: &Client, address: &str, query: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (vec![], String::new());
    loop {
        let page = client.get(&format!("{address}?limit=7{query}{cursor}")).await.json(200);
        rows.extend(page["results"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => {
                assert_eq!(
                    (page["has_more"].as_bool(), page["total"].as_u64()),
                    (Some(false), Some(rows.len() as u64))
                );
                return rows;
            }
        }
        assert_eq!(page["has_more"], true);
    }
}

#[tokio::test]
async fn pages_sorting_and_filters_agree_with_the_whole() {
    let hub = start(&[("STAND_IN_FAULTS", "skip=i0000004")]).await;
    let batch = id(&hub.client.run_batch(&batch(18)).await);
    let address = format!("/api/v1/batches/{batch}/results");
    let all = hub.client.rows(&batch).await;
    assert_eq!(all.len(), 18);
    assert_eq!(paged(&hub.client, &address, "").await, all);
    let ranks: Vec<_> = all.iter().map(|row| row["rank"].as_u64()).collect();
    assert_eq!(ranks, (1..18).map(Some).chain([None]).collect::<Vec<_>>(), "what failed has no rank and comes last");

    let by_affinity = paged(&hub.client, &address, "&sort=affinity").await;
    assert!(numbers(&by_affinity[..17], "affinity").is_sorted(), "the strongest first");
    let weakest = paged(&hub.client, &address, "&sort=affinity&order=desc").await;
    assert!(numbers(&weakest[..17], "affinity").is_sorted_by(|a, b| a >= b));
    assert_eq!(paged(&hub.client, &address, "&status=failed").await, [all[17].clone()]);
    let middle = numbers(&all[..17], "affinity_prob")[8];
    assert_eq!(paged(&hub.client, &address, &format!("&min={middle}")).await, all[..9]);
    assert_eq!(paged(&hub.client, &address, &format!("&max={middle}")).await, all[8..17]);
    assert!(paged(&hub.client, &address, "&min=2").await.is_empty());
    let past = hub.client.get(&format!("{address}?cursor=1000")).await.json(200);
    assert_eq!((&past["results"], &past["has_more"]), (&json!([]), &json!(false)));
    for (query, named) in [
        ("sort=colour", "?sort"),
        ("limit=0", "?limit"),
        ("limit=501", "?limit"),
        ("cursor=x", "?cursor"),
        ("order=up", "?query"),
        ("pagesize=3", "?query"),
    ] {
        assert_eq!(hub.client.get(&format!("{address}?{query}")).await.pointers(400), [named], "{query}");
    }
}

#[tokio::test]
async fn lists_show_the_newest_first_page_by_page() {
    let hub = start(&[]).await;
    let mut made = vec![];
    for _ in 0..5 {
        made.push(id(&hub.client.run_batch(&batch(1)).await));
    }
    made.reverse();
    let (mut found, mut cursor) = (vec![], String::new());
    loop {
        let page = hub.client.get(&format!("/api/v1/batches?limit=2{cursor}")).await.json(200);
        found.extend(page["batches"].as_array().unwrap().iter().map(id));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, made);
    let count = async |query: &str| {
        let page = hub.client.get(&format!("/api/v1/jobs?{query}")).await.json(200);
        page["jobs"].as_array().unwrap().len()
    };
    assert_eq!(count("type=batch_parent&model=boltz2&status=completed").await, 5);
    assert_eq!((count("type=individual").await, count("model=chai1").await, count("status=failed").await), (0, 0, 0));
    assert_eq!(hub.client.get("/api/v1/jobs?cursor=zz").await.pointers(400), ["?cursor"]);
}

#[tokio::test]
async fn an_item_of_a_batch_is_a_job_of_its_own() {
    let hub = start(&[]).await;
    let batch = hub.client.run_batch(&batch(3)).await;
    let rows = hub.client.rows(&id(&batch)).await;
    for row in &rows {
        let child = hub.client.get(&format!("/api/v1/jobs/{}", row["job_id"].as_str().unwrap())).await.json(200);
        assert_eq!((&child["job_type"], &child["batch_id"]), (&json!("batch_child"), &json!(id(&batch))));
        assert_eq!((&child["status"], &child["job_name"]), (&json!("completed"), &row["ligand_name"]));
        assert_eq!(child["results"]["affinity"], row["affinity"]);
        let cif = hub.client.download(child["download_links"]["cif"].as_str().unwrap()).await;
        assert!(cif.text().starts_with("data_"));
    }
    hub.client.get(&format!("/api/v1/jobs/{}_0004", id(&batch))).await.problem(404);
}
