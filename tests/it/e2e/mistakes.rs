//! Seven mistakes that people make, all at once: each is told in a condition that says what to do, and each is mended from that.
//! `docs/troubleshooting.md` shows what a person sees of them.

use super::cluster::Cluster;
use super::turn;
use super::{condition, eventually};

/// A mistake, what is said of it, and what mends it.
struct Mistake {
    name: &'static str,
    spec: &'static str,
    /// A condition, its reason, and words of its message.
    told: (&'static str, &'static str, &'static str),
    mend: fn(&Cluster),
}

const NAMESPACE: &str = "e2e-mistakes";
const CROWDED: &str = "e2e-crowded";

const MISTAKES: [Mistake; 6] = [
    Mistake {
        name: "image",
        spec: "{podTemplate: {image: 'mediaorigin:no-such-version', imagePullPolicy: Never}}",
        told: ("Ready", "ImagePull", "cannot get image \"mediaorigin:no-such-version\""),
        mend: |cluster| cluster.patch(NAMESPACE, "image", r#"{"spec":{"podTemplate":{"image":null}}}"#),
    },
    Mistake {
        name: "secret",
        spec: "{access: {write: {secretRef: {name: encoders}}}}",
        told: ("Ready", "VolumesPending", "is there a Secret \"encoders\" with username and password?"),
        mend: |cluster| {
            cluster.kubectl(&format!(
                "create secret generic -n {NAMESPACE} encoders --from-literal=username=encoder --from-literal=password=a-password"
            ));
        },
    },
    Mistake {
        name: "memory",
        spec: "{memory: {limit: 4Ti}}",
        told: ("Ready", "Unschedulable", "Insufficient memory"),
        mend: |cluster| cluster.patch(NAMESPACE, "memory", r#"{"spec":{"memory":{"limit":"256Mi"}}}"#),
    },
    Mistake {
        name: "bucket",
        spec: "{objectStore: {url: 's3://media/live', endpoint: 'http://no-such-store:7070', credentialsSecretRef: {name: bucket}}}",
        told: ("Healthy", "BucketUnavailable", "no-such-store"),
        mend: |cluster| cluster.patch(NAMESPACE, "bucket", r#"{"spec":{"objectStore":null}}"#),
    },
    Mistake {
        name: "glob",
        spec: "{tierPolicies: [{name: live, match: {paths: ['live/[a']}}]}",
        told: ("Accepted", "Invalid", "spec.tierPolicies[0].match.paths[0]"),
        mend: |cluster| {
            cluster.patch(
                NAMESPACE,
                "glob",
                r#"{"spec":{"tierPolicies":[{"name":"live","match":{"paths":["live/**"]}}]}}"#,
            );
        },
    },
    Mistake {
        name: "volume",
        spec: "{disk: {size: 64Mi, storageClassName: no-such-class}}",
        told: (
            "Ready",
            "VolumeUnbound",
            "is there a StorageClass \"no-such-class\" that makes a volume of 64Mi?",
        ),
        mend: |cluster| {
            // As admission says of an edit of the class alone. Without waiting for anything in between.
            cluster.kubectl(&format!("scale -n {NAMESPACE} mediaorigin/volume --replicas=0"));
            cluster.patch(NAMESPACE, "volume", r#"{"spec":{"disk":{"storageClassName":"standard"}}}"#);
            cluster.kubectl(&format!("delete -n {NAMESPACE} pvc/volume --wait=false"));
            cluster.kubectl(&format!("scale -n {NAMESPACE} mediaorigin/volume --replicas=1"));
        },
    },
];

fn apply(cluster: &Cluster, namespace: &str, name: &str, spec: &str) {
    let memory = if spec.contains("memory") { "" } else { "memory: {limit: 256Mi}, " };
    let spec = spec.replacen('{', &format!("{{{memory}cpu: {{request: 10m}}, "), 1);
    cluster.apply(
        namespace,
        &format!(
            "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        ),
    );
}

#[track_caller]
fn told(cluster: &Cluster, namespace: &str, name: &str, (kind, reason, words): (&str, &str, &str)) {
    eventually(&format!("{name}: {kind} says {reason}: {words}"), 90, || {
        if kind == "Healthy" {
            // A viewer: what nobody asks of a bucket nobody knows.
            cluster.attempt(&format!(
                "get --raw /api/v1/namespaces/{namespace}/services/{name}:media/proxy/a.ts"
            ));
        }
        let origin = cluster.json(&format!("get -n {namespace} mediaorigin/{name}"));
        let condition = condition(&origin, kind);
        condition["status"] == "False"
            && condition["reason"] == reason
            && condition["message"].as_str().is_some_and(|message| message.contains(words))
    });
}

#[test]
fn seven_mistakes_are_told_and_mended() {
    let _turn = turn::shared();
    let cluster = Cluster::get();
    cluster.namespace(NAMESPACE);
    cluster.kubectl(&format!(
        "create secret generic -n {NAMESPACE} bucket --from-literal=accessKeyId=AKIDEXAMPLE --from-literal=secretAccessKey=a-secret-key"
    ));
    for Mistake { name, spec, .. } in &MISTAKES {
        apply(cluster, NAMESPACE, name, spec);
    }
    cluster.namespace(CROWDED);
    cluster.kubectl(&format!("create quota -n {CROWDED} none --hard=pods=0"));
    apply(cluster, CROWDED, "quota", "{}");

    for Mistake { name, told: said, .. } in &MISTAKES {
        told(cluster, NAMESPACE, name, *said);
    }
    told(cluster, CROWDED, "quota", ("Ready", "PodsForbidden", "exceeded quota: none"));
    println!("{}", cluster.kubectl("get mediaorigins -A -o wide"));

    for mistake in &MISTAKES {
        (mistake.mend)(cluster);
    }
    cluster.kubectl(&format!("delete -n {CROWDED} quota/none"));
    for (namespace, name) in
        MISTAKES.iter().map(|mistake| (NAMESPACE, mistake.name)).chain([(CROWDED, "quota")])
    {
        cluster
            .kubectl(&format!("wait -n {namespace} --for=condition=Ready mediaorigin/{name} --timeout=180s"));
        cluster.kubectl(&format!(
            "wait -n {namespace} --for=condition=Reconciling=False mediaorigin/{name} --timeout=180s"
        ));
    }
    eventually("what was wrong with the bucket is over", 90, || {
        let origin = cluster.json(&format!("get -n {NAMESPACE} mediaorigin/bucket"));
        condition(&origin, "Healthy")["status"] == "True"
    });
    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigins --all --timeout=120s"));
    cluster.kubectl(&format!("delete namespace {CROWDED} --wait=false"));
}
