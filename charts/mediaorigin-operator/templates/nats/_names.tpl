{{- /* The StatefulSet, the Service of clients and everything else of NATS: RELEASE-nats. */ -}}
{{- define "nats.name" -}}
{{- printf "%s-nats" (.Release.Name | trunc 45 | trimSuffix "-") -}}
{{- end -}}

{{- /* The Service by which servers have names of their own. */ -}}
{{- define "nats.peers" -}}
{{- printf "%s-peers" (include "nats.name" .) -}}
{{- end -}}

{{- /* The Secret with the credentials: the one that was named, or the one that the operator makes. */ -}}
{{- define "nats.secret" -}}
{{- default (printf "%s-auth" (include "nats.name" .)) .Values.nats.auth.secretName -}}
{{- end -}}

{{- define "nats.selector" -}}
app.kubernetes.io/name: mediaorigin-nats
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "nats.labels" -}}
{{ include "nats.selector" . }}
app.kubernetes.io/component: coordination
app.kubernetes.io/version: {{ default "digest" .Values.nats.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* What streams may take of a volume: nine tenths in mebibytes, so that a full stream is refused before a full disk is met. */ -}}
{{- define "nats.streamBytes" -}}
{{- $unit := ternary 1024 1048576 (hasSuffix "Gi" .Values.nats.storage.size) -}}
{{- printf "%dMi" (div (mul (regexFind "^[0-9]+" .Values.nats.storage.size | int64) $unit 9) 10) -}}
{{- end -}}

{{- /* The server's configuration. What begins with a dollar sign comes from the environment, which the StatefulSet sets. */ -}}
{{- define "nats.conf" -}}
include "settings.conf"

port: 4222
http_port: 8222
pid_file: "/var/run/nats/nats.pid"

jetstream {
  store_dir: "/data"
  max_file_store: {{ include "nats.streamBytes" . }}
  max_memory_store: 64Mi
  {{- if eq .Values.nats.sync "Always" }}
  # On the disk before it is acknowledged.
  sync_interval: always
  {{- end }}
}

authorization {
  user: $NATS_USER
  password: $NATS_PASSWORD
}

cluster {
  name: {{ include "nats.name" . }}
  port: 6222
  # Servers look after each other more often than after clients.
  ping_interval: "1s"
  authorization {
    user: route
    password: $NATS_ROUTE_PASSWORD
  }
  routes: [
    {{- range until 3 }}
    $NATS_ROUTE_{{ . }}
    {{- end }}
  ]
  {{- if and .Values.nats.tls.secretName .Values.nats.tls.routes }}
  tls {
    cert_file: "/etc/nats-tls/tls.crt"
    key_file: "/etc/nats-tls/tls.key"
    ca_file: "/etc/nats-tls/ca.crt"
  }
  {{- end }}
}
{{- if .Values.nats.tls.secretName }}

tls {
  cert_file: "/etc/nats-tls/tls.crt"
  key_file: "/etc/nats-tls/tls.key"
}
{{- end }}
{{- end -}}
