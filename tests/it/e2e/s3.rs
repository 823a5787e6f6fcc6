//! A real S3 server in the cluster: versitygw on a folder of its pod.

use super::cluster::Cluster;

/// The access key of every server.
const ACCESS_KEY: &str = "AKIAORIGINTESTS";
/// And its secret: of a server that lives for a minute, behind no door.
const SECRET_KEY: &str = "end-to-end-only";

/// Starts one in `namespace`, with an empty bucket and a Secret `bucket` with its credentials. The result is the line of a
/// `MediaOrigin`'s spec that uses it.
pub(crate) fn start(namespace: &str) -> String {
    let cluster = Cluster::get();
    cluster.apply(namespace, &manifest(&Cluster::image("versitygw")));
    cluster.kubectl(&format!("wait -n {namespace} --for=condition=Ready pod/s3 --timeout=120s"));
    format!(
        "  objectStore: {{url: 's3://media/e2e', endpoint: 'http://s3.{namespace}.svc:7070', region: us-east-1, credentialsSecretRef: {{name: bucket}}}}\n"
    )
}

fn manifest(image: &str) -> String {
    let confined = "{allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}";
    let variable = |name: &str, key: &str| {
        format!("{{name: {name}, valueFrom: {{secretKeyRef: {{name: bucket, key: {key}}}}}}}")
    };
    let (access, secret) =
        (variable("ROOT_ACCESS_KEY", "accessKeyId"), variable("ROOT_SECRET_KEY", "secretAccessKey"));
    format!(
        "apiVersion: v1
kind: Secret
metadata: {{name: bucket}}
stringData: {{accessKeyId: {ACCESS_KEY}, secretAccessKey: {SECRET_KEY}}}
---
apiVersion: v1
kind: Service
metadata: {{name: s3}}
spec: {{selector: {{app: s3}}, ports: [{{port: 7070}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: s3, labels: {{app: s3}}}}
spec:
  terminationGracePeriodSeconds: 1
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile: {{type: RuntimeDefault}}
  initContainers:
  - name: bucket
    image: parts.mediaorigin.test/shell:cluster
    imagePullPolicy: IfNotPresent
    command: [mkdir, -p, /data/media]
    securityContext: {confined}
    volumeMounts: [{{name: data, mountPath: /data}}]
  containers:
  - name: s3
    image: {image}
    imagePullPolicy: IfNotPresent
    args: [--quiet, --port, ':7070', posix, /data]
    env: [{access}, {secret}]
    readinessProbe: {{tcpSocket: {{port: 7070}}, periodSeconds: 1}}
    resources: {{requests: {{cpu: 50m, memory: 64Mi}}, limits: {{memory: 256Mi}}}}
    securityContext: {confined}
    volumeMounts: [{{name: data, mountPath: /data}}]
  volumes:
  - {{name: data, emptyDir: {{}}}}
"
    )
}
