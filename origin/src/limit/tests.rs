//! What machines and containers say about themselves, recorded.

use std::fs;
use std::path::PathBuf;

use mediaorigin_crds::load;

use super::*;

const MIB: u64 = Bytes::MIB;

/// Names and texts of files.
type Files<'a> = &'a [(&'a str, &'a str)];

/// A folder with files under it; deleted with its owner.
struct Root(PathBuf);

impl Root {
    fn new(files: Files<'_>) -> Self {
        let root = std::env::temp_dir().join(format!("mediaorigin-limit-{:x}", fastrand::u64(..)));
        for (name, text) in files {
            let file = root.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Self(root)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A pod of a node with version 1: no namespace of groups, its own group is what is mounted.
const V1_POD: [(&str, &str); 3] = [
    (
        "proc/self/cgroup",
        "11:pids:/kubepods/burstable/pod1/abc\n4:memory:/kubepods/burstable/pod1/abc\n1:name=systemd:/kubepods/burstable/pod1/abc\n",
    ),
    (
        "proc/self/mountinfo",
        "700 650 0:33 /kubepods/burstable/pod1/abc /sys/fs/cgroup/pids ro,nosuid master:11 - cgroup cgroup rw,pids\n\
         701 650 0:34 /kubepods/burstable/pod1/abc /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:12 - cgroup cgroup rw,memory\n",
    ),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
];

/// A container of version 2 with a namespace of its own.
const V2_POD: [(&str, &str); 3] = [
    ("proc/self/cgroup", "0::/\n"),
    (
        "proc/self/mountinfo",
        "24 1 0:22 / / rw - overlay overlay rw\n30 24 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n",
    ),
    ("sys/fs/cgroup/memory.max", "1073741824\n"),
];

/// A service of a host with version 2, in groups within groups, of which one above has the lowest limit.
const V2_NESTED: [(&str, &str); 5] = [
    ("proc/self/cgroup", "0::/system.slice/media.slice/origin.service\n"),
    ("proc/self/mountinfo", "30 24 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"),
    ("sys/fs/cgroup/system.slice/memory.max", "max\n"),
    ("sys/fs/cgroup/system.slice/media.slice/memory.max", "268435456\n"),
    ("sys/fs/cgroup/system.slice/media.slice/origin.service/memory.max", "1073741824\n"),
];

/// Both versions side by side, memory with version 1 and without a limit.
const V1_HOST: [(&str, &str); 5] = [
    ("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/jobs/one\n0::/\n"),
    (
        "proc/self/mountinfo",
        "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
         35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,cpu,memory\n\
         41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
    ),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
    ("sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", "9223372036854771712\n"),
    ("sys/fs/cgroup/memory/jobs/one/memory.limit_in_bytes", "9223372036854771712\n"),
];

#[test]
fn the_limit_is_found_as_containers_and_hosts_show_it() {
    let cases: [(&str, Files<'_>, Option<u64>); 6] = [
        ("a pod, version 1", &V1_POD, Some(512 * MIB)),
        ("a pod, version 2", &V2_POD, Some(1024 * MIB)),
        ("groups in groups", &V2_NESTED, Some(256 * MIB)),
        ("a host without a limit", &V1_HOST, None),
        (
            "no groups at all",
            &[("proc/self/cgroup", ""), ("proc/self/mountinfo", "1 0 0:1 / / rw - ext4 a rw\n")],
            None,
        ),
        ("no Linux", &[], None),
    ];
    for (name, files, expected) in cases {
        let root = Root::new(files);
        assert_eq!(of_cgroup(&root.0).map(Bytes::get), expected, "{name}");
    }
}

#[test]
fn what_a_group_uses_is_what_cannot_be_taken_back() {
    let v1 = [
        ("sys/fs/cgroup/memory/memory.usage_in_bytes", "104857600\n"),
        ("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_rss 5\ntotal_inactive_file 4857600\n"),
    ];
    let v2 = [
        ("sys/fs/cgroup/memory.current", "104857600\n"),
        ("sys/fs/cgroup/memory.stat", "anon 5\ninactive_file 4857600\nactive_file 7\n"),
        (
            "sys/fs/cgroup/memory.pressure",
            "some avg10=31.00 avg60=1.00 avg300=0.00 total=9\nfull avg10=2.50 avg60=1.00 avg300=0.00 total=7\n",
        ),
    ];
    let look = |files: &[(&str, &str)]| {
        let root = Root::new(files);
        group::Group::own(&root.0).unwrap().look().unwrap()
    };
    let reading = look(&[&V1_POD[..], &v1].concat());
    assert_eq!((reading.limit.get(), reading.working_set.get()), (512 * MIB, 100_000_000));
    assert!(reading.stalled_percent < f64::EPSILON, "version 1 does not say");
    let reading = look(&[&V2_POD[..], &v2].concat());
    assert_eq!((reading.limit.get(), reading.working_set.get()), (1024 * MIB, 100_000_000));
    assert!((reading.stalled_percent - 2.5).abs() < f64::EPSILON, "{reading:?}");
    // A kernel that does not say leaves the rest as it is.
    assert_eq!(look(&V2_POD).working_set.get(), 0);
}

#[test]
fn the_flag_wins_over_the_file_and_a_lower_cgroup_over_both() {
    let mib = |number: u64| Bytes(number * MIB);
    for (spec, flag, cgroup, bytes, source) in [
        (512, None, None, 512, Source::Spec),
        (512, Some(1024), None, 1024, Source::Flag),
        (512, Some(256), None, 256, Source::Flag),
        (512, None, Some(512), 512, Source::Spec),
        (512, None, Some(4096), 512, Source::Spec),
        (512, None, Some(300), 300, Source::Cgroup),
        (512, Some(1024), Some(512), 512, Source::Cgroup),
        (512, Some(256), Some(512), 256, Source::Flag),
    ] {
        let limit = Limit::decide(mib(spec), flag.map(mib), cgroup.map(mib));
        assert_eq!((limit.bytes, limit.source), (mib(bytes), source), "{spec} {flag:?} {cgroup:?}");
        assert_eq!(limit.configured, mib(flag.unwrap_or(spec)));
        assert_eq!(limit.surprise().is_some(), source == Source::Cgroup);
    }
}

/// 1000M are no whole number of pages: what the kernel made of it is the very limit that was configured.
#[test]
fn a_limit_that_was_rounded_to_pages_is_no_lower_one() {
    let spec = Bytes(1_000_000_000);
    let limit = Limit::decide(spec, None, Some(Bytes(999_997_440)));
    assert_eq!(limit, Limit::of_spec(spec));
}

#[test]
fn a_limit_that_is_too_small_names_what_to_raise() {
    let cold = load::built_in().unwrap().cold;
    for (limit, name) in [
        (Limit::decide(Bytes(1 << 30), Some(Bytes(64 * MIB)), None), "raise --memory-limit to at least"),
        (
            Limit::decide(Bytes(1 << 30), None, Some(Bytes(64 * MIB))),
            "raise the memory limit of the container (its cgroup) to at least",
        ),
        (Limit::of_spec(Bytes(64 * MIB)), "raise spec.memory.limit to at least"),
    ] {
        let error = limit.budget(&cold).unwrap_err().to_string();
        assert!(error.contains("64Mi leaves 0 MiB") && error.contains(name), "{error}");
    }
}
