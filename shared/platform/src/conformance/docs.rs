use crate::{Collection, Cursor, Direction, Docs, Error, Number, Query, Write};
use serde_json::{Value, json};

/// Runs the whole suite below the root collection `root`, which must be empty.
pub async fn docs(docs: &Docs, root: &str) {
    let root = Collection::root(root);
    create_is_once_and_replace_needs_the_version_read(docs, &root).await;
    a_commit_is_all_or_nothing(docs, &root).await;
    one_of_many_writers_wins(docs, &root).await;
    queries_filter_order_and_page(docs, &root).await;
    groups_and_aggregates_reach_every_collection_of_the_name(docs, &root).await;
    ids_with_slashes_stay_in_their_place(docs, &root).await;
}

async fn create_is_once_and_replace_needs_the_version_read(docs: &Docs, root: &Collection) {
    let path = root.doc("once");
    assert!(docs.find::<Value>(&path).await.unwrap().is_none());
    assert!(matches!(docs.get::<Value>(&path).await, Err(Error::NotFound(_))));
    docs.create(&path, &json!({"n": 1, "f": 0.5, "t": "é\n", "l": [1, {"x": null}], "b": true})).await.unwrap();
    assert!(matches!(docs.create(&path, &json!({"n": 2})).await, Err(Error::AlreadyExists(_))));
    let first = docs.get::<Value>(&path).await.unwrap();
    assert_eq!(first.value, json!({"n": 1, "f": 0.5, "t": "é\n", "l": [1, {"x": null}], "b": true}));
    let mut changed = first.clone();
    changed.value = json!({"n": 3});
    docs.replace(&changed).await.unwrap();
    assert!(matches!(docs.replace(&first).await, Err(Error::Conflict(_))), "the version read is stale");
    assert_eq!(docs.get::<Value>(&path).await.unwrap().value, json!({"n": 3}));
    let delete = |version| vec![Write::Delete { path: path.clone(), version }];
    assert!(matches!(docs.commit(delete(Some(first.version.clone()))).await, Err(Error::Conflict(_))));
    docs.commit(delete(None)).await.unwrap();
    docs.commit(delete(None)).await.expect("deleting what is gone is no error");
    docs.create(&path, &json!({"n": 4})).await.unwrap();
    assert!(matches!(docs.replace(&first).await, Err(Error::Conflict(_))), "versions never repeat");
}

async fn a_commit_is_all_or_nothing(docs: &Docs, root: &Collection) {
    let (taken, free) = (root.doc("taken"), root.doc("free"));
    docs.create(&taken, &json!({})).await.unwrap();
    let writes = || {
        vec![
            Write::create(free.clone(), &json!({"n": 1})).unwrap(),
            Write::create(taken.clone(), &json!({"n": 1})).unwrap(),
        ]
    };
    assert!(docs.commit(writes()).await.is_err());
    assert!(docs.find::<Value>(&free).await.unwrap().is_none(), "the first write must not stay");
    docs.commit(vec![Write::Delete { path: taken.clone(), version: None }]).await.unwrap();
    docs.commit(writes()).await.unwrap();
    assert!(docs.find::<Value>(&free).await.unwrap().is_some());
}

async fn one_of_many_writers_wins(docs: &Docs, root: &Collection) {
    let path = root.doc("contended");
    docs.create(&path, &json!({"n": 0})).await.unwrap();
    let read = docs.get::<Value>(&path).await.unwrap();
    let writers = (1..=4).map(|n| {
        let mut mine = read.clone();
        mine.value = json!({ "n": n });
        async move { docs.replace(&mine).await }
    });
    let outcomes = futures::future::join_all(writers).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(Error::is_race), "{outcomes:?}");
}

async fn queries_filter_order_and_page(docs: &Docs, root: &Collection) {
    let items = root.doc("paged").collection("items");
    for n in 0..7 {
        let body =
            json!({"at": n / 2, "kind": if n % 2 == 0 { "even" } else { "odd" }, "flag": n < 3, "deep": {"n": n}});
        docs.create(&items.doc(&format!("i{n}")), &body).await.unwrap();
    }
    docs.create(&items.doc("without"), &json!({"kind": "even"})).await.unwrap();
    let ids = |query: Query| async move {
        docs.query::<Value>(&query).await.unwrap().iter().map(|d| d.path.id().to_owned()).collect::<Vec<_>>()
    };
    let all = Query::collection(items.clone());
    assert_eq!(ids(all.clone()).await, ["i0", "i1", "i2", "i3", "i4", "i5", "i6", "without"]);
    assert_eq!(ids(all.clone().equals("flag", true)).await, ["i0", "i1", "i2"]);
    assert_eq!(ids(all.clone().equals("kind", "odd").equals("deep.n", 3)).await, ["i3"]);
    let some = all.clone().equals("kind", "odd").any_of("deep.n", [json!(1), json!(2), json!(5), json!("3")]);
    assert_eq!(ids(some.clone()).await, ["i1", "i5"]);
    assert_eq!(docs.count(&some).await.unwrap(), 2);
    let newest = all.clone().equals("kind", "even").order_by("at", Direction::Descending);
    assert_eq!(ids(newest).await, ["i6", "i4", "i2", "i0"]);
    let mut seen = vec![];
    let mut cursor = None;
    loop {
        let page = all.clone().order_by("at", Direction::Descending).after(cursor).limit(2);
        let page = docs.query::<Value>(&page).await.unwrap();
        let Some(last) = page.last() else { break };
        cursor = Some(Cursor { value: Some(last.value["at"].clone()), path: last.path.clone() });
        seen.extend(page.iter().map(|d| d.path.id().to_owned()));
    }
    assert_eq!(seen, ["i6", "i5", "i4", "i3", "i2", "i1", "i0"], "ties are broken by name, in the same direction");
    let rest = all.after(Some(Cursor { value: None, path: items.doc("i5") }));
    assert_eq!(ids(rest).await, ["i6", "without"]);
}

async fn groups_and_aggregates_reach_every_collection_of_the_name(docs: &Docs, root: &Collection) {
    let group = format!("{}shards", root.as_str());
    for (owner, n) in [("a", 1), ("b", 2), ("b", 3)] {
        let path = root.doc(owner).collection(&group).doc(&n.to_string());
        docs.create(&path, &json!({"n": n, "half": 0.5, "done": n != 2})).await.unwrap();
    }
    let everywhere = Query::group(&group);
    assert_eq!(docs.query::<Value>(&everywhere).await.unwrap().len(), 3);
    let done = everywhere.clone().equals("done", true);
    let numbers = [Number::Sum("n"), Number::Sum("half"), Number::Sum("absent"), Number::Count];
    assert_eq!(docs.aggregate(&done, numbers).await.unwrap(), [4.0, 1.0, 0.0, 2.0]);
    assert_eq!(docs.aggregate(&done, [Number::Sum("half")]).await.unwrap(), [1.0]);
    assert_eq!(docs.aggregate(&done, [Number::Sum("absent")]).await.unwrap(), [0.0]);
    let one = Query::collection(root.doc("b").collection(&group));
    assert_eq!(docs.count(&one).await.unwrap(), 2);
}

async fn ids_with_slashes_stay_in_their_place(docs: &Docs, root: &Collection) {
    let odd = root.doc("a/b/../c");
    docs.create(&odd, &json!({"n": 1})).await.unwrap();
    assert_eq!(docs.get::<Value>(&odd).await.unwrap().path, odd);
    assert!(docs.find::<Value>(&root.doc("a").collection("b").doc("c")).await.unwrap().is_none());
}
