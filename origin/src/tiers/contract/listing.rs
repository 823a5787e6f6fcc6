//! Folders as a client sees them: names in the order of bytes, every one on exactly one page.

use std::sync::Arc;

use super::{record, store};
use crate::tiers::{Listed, Tier};

/// Names whose order by bytes is not their order by letters, by length or by folders first.
const PATHS: [&str; 14] = [
    "a",
    "a-b",
    "a/1",
    "a/2/x",
    "a/2/y",
    "a/2-z",
    "a/3",
    "a0",
    "B",
    "b/c/d/e",
    "b/ä",
    "b/z",
    "folder/only/deep/one",
    "ä",
];

fn names(listed: &[Listed]) -> Vec<&str> {
    listed
        .iter()
        .map(|listed| {
            assert_eq!(matches!(listed, Listed::Folder(_)), listed.name().ends_with('/'));
            listed.name()
        })
        .collect()
}

async fn fill(tier: &Arc<dyn Tier>) {
    for (index, path) in PATHS.iter().enumerate() {
        store(tier, path, 3, &vec![7; index]).await;
    }
}

pub(crate) async fn a_folder_lists_its_objects_and_folders_in_the_order_of_bytes(tier: &Arc<dyn Tier>) {
    assert!(tier.list("", "", 10).await.unwrap().is_empty());
    fill(tier).await;
    let expected: [(&str, &[&str]); 8] = [
        ("", &["B", "a", "a-b", "a/", "a0", "b/", "folder/", "ä"]),
        ("a/", &["a/1", "a/2-z", "a/2/", "a/3"]),
        ("a/2/", &["a/2/x", "a/2/y"]),
        ("b/", &["b/c/", "b/z", "b/ä"]),
        ("folder/", &["folder/only/"]),
        ("folder/only/deep/", &["folder/only/deep/one"]),
        ("a/1/", &[]),
        ("none/", &[]),
    ];
    for (folder, expected) in expected {
        let listed = tier.list(folder, "", 100).await.unwrap();
        assert_eq!(names(&listed), expected, "{folder:?}");
        for listed in &listed {
            if let Listed::Object(found) = listed {
                let size = PATHS.iter().position(|path| *path == &*found.path).unwrap();
                assert_eq!(*found, record(&found.path, 3, size));
            }
        }
    }
}

pub(crate) async fn pages_hold_every_name_exactly_once(tier: &Arc<dyn Tier>) {
    fill(tier).await;
    for folder in ["", "a/", "b/"] {
        let all = tier.list(folder, "", 100).await.unwrap();
        for limit in 1..=all.len() + 1 {
            let (mut paged, mut after) = (Vec::new(), String::new());
            loop {
                let page = tier.list(folder, &after, limit).await.unwrap();
                assert!(page.len() <= limit);
                let is_last = page.len() < limit;
                after = page.last().map(|listed| listed.name().to_owned()).unwrap_or_default();
                paged.extend(page);
                if is_last {
                    break;
                }
            }
            assert_eq!(paged, all, "{folder:?} by {limit}");
        }
    }
    assert!(tier.list("", "", 0).await.unwrap().is_empty());
}

pub(crate) async fn a_page_may_begin_after_any_text(tier: &Arc<dyn Tier>) {
    fill(tier).await;
    let cases: [(&str, &str, &[&str]); 12] = [
        ("", "A", &["B", "a", "a-b"]),
        ("", "a", &["a-b", "a/", "a0"]),
        ("", "a-", &["a-b", "a/", "a0"]),
        ("", "a.", &["a/", "a0", "b/"]),
        ("", "a/", &["a0", "b/", "folder/"]),
        ("", "a/2/x", &["a0", "b/", "folder/"]),
        ("", "zzz", &["ä"]),
        ("", "ö", &[]),
        ("a/", "", &["a/1", "a/2-z", "a/2/"]),
        ("a/", "a", &["a/1", "a/2-z", "a/2/"]),
        ("a/", "a/2/", &["a/3"]),
        ("a/", "b", &[]),
    ];
    for (folder, after, expected) in cases {
        let page = tier.list(folder, after, 3).await.unwrap();
        assert_eq!(names(&page), expected, "{folder:?} after {after:?}");
    }
}

pub(crate) async fn a_deleted_object_is_not_listed(tier: &Arc<dyn Tier>) {
    fill(tier).await;
    for path in ["a", "a/2/x", "a/2/y", "folder/only/deep/one"] {
        tier.delete(path, u64::MAX).await.unwrap();
    }
    assert_eq!(names(&tier.list("", "", 100).await.unwrap()), ["B", "a-b", "a/", "a0", "b/", "ä"]);
    assert_eq!(names(&tier.list("a/", "", 100).await.unwrap()), ["a/1", "a/2-z", "a/3"]);
}
