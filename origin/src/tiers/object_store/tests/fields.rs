use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mediaorigin_crds::policy::Class;
use object_store::{Attribute, Attributes};

use crate::tiers::contract;
use crate::tiers::object_store::fields::{Content, Entry, content, of_marker, of_version};
use crate::tiers::object_store::place::Scheme;

fn entry(size: u64, attributes: Attributes) -> Entry {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    Entry { etag: Arc::from("\"abc\""), version: None, size, modified, attributes }
}

#[test]
fn fields_have_names_that_every_store_takes() {
    for (scheme, separator) in [(Scheme::S3, "mo-"), (Scheme::Google, "mo-"), (Scheme::Azure, "mo_")] {
        let record = contract::record("live/a.ts", 7, 5);
        let attributes = of_version(scheme, &record, 1);
        for (attribute, _) in &attributes {
            if let Attribute::Metadata(name) = attribute {
                assert!(name.starts_with(separator), "{name}");
            }
        }
        let Content::Version { record: back, checksum } = content(scheme, "live/a.ts", &entry(5, attributes))
        else {
            panic!("not a version");
        };
        assert_eq!((back, checksum), (record, Some(1)));
    }
}

#[test]
fn an_object_that_is_not_what_its_fields_say_is_somebody_elses() {
    let record = contract::record("live/a.ts", 7, 5);
    let attributes = of_version(Scheme::S3, &record, 1);
    let mut without_sequence = attributes.clone();
    without_sequence.remove(&Attribute::Metadata("mo-sequence".into()));
    for (size, attributes) in [(6, attributes), (5, without_sequence)] {
        let Content::Version { record: found, checksum } =
            content(Scheme::S3, "live/a.ts", &entry(size, attributes))
        else {
            panic!("not a version");
        };
        assert_eq!((found.sequence, found.size, checksum), (0, size, None));
        assert_ne!(found.uid, record.uid);
    }
}

#[test]
fn a_foreign_object_is_named_by_its_etag_and_typed_by_its_name() {
    let foreign = |entry: &Entry| match content(Scheme::S3, "vod/init.mp4", entry) {
        Content::Version { record, .. } => record,
        Content::Deleted { .. } => panic!("not a version"),
    };
    let first = entry(5, Attributes::new());
    let found = foreign(&first);
    assert_eq!(found.meta.content_type, "video/mp4");
    assert_eq!(found.meta.class, Class::Init);
    assert_eq!(found.modified, first.modified);
    assert_eq!(foreign(&first).uid, found.uid);
    // The name must not change with a release: players hold it as an `ETag`.
    assert_eq!(found.uid.to_string(), "027931a6d5659a0e00f529811dc38eca");
    for other in [
        Entry { etag: Arc::from("\"abd\""), ..first.clone() },
        Entry { size: 6, ..first.clone() },
        Entry { version: Some("2".to_owned()), ..first.clone() },
    ] {
        assert_ne!(foreign(&other).uid, found.uid);
    }
}

#[test]
fn a_marker_is_no_version() {
    let marker = entry(20, of_marker(Scheme::Azure, u64::MAX));
    let found = content(Scheme::Azure, "a", &marker);
    assert!(matches!(found, Content::Deleted { through: u64::MAX }), "{found:?}");
}
