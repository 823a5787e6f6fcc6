{{- /* The Deployment and everything of this release: RELEASE-operator, or RELEASE where it already says so. */ -}}
{{- define "operator.name" -}}
{{- if hasSuffix "operator" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-operator" (.Release.Name | trunc 54 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "operator.serviceAccount" -}}
{{- default (include "operator.name" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "operator.selector" -}}
app.kubernetes.io/name: mediaorigin-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* An image by digest, by tag, or by the chart's appVersion: (dict "image" VALUES "version" APPVERSION). */ -}}
{{- define "operator.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .version .image.tag) -}}
{{- end -}}
{{- end -}}

{{- /* All that the operator may do: no wildcard, no Secrets, no finalizers, and it deletes nothing. */ -}}
{{- define "operator.rules" -}}
- apiGroups: [mediaorigin.io]
  resources: [mediaorigins]
  verbs: [get, list, watch]
- apiGroups: [mediaorigin.io]
  resources: [mediaorigins/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [configmaps, persistentvolumeclaims, serviceaccounts, services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# To name one that scales a Deployment of ours.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list]
# Where the cluster has these kinds; neither is listed nor watched.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors]
  verbs: [get, create, patch, delete]
# Secrets that the operator makes for its origins, by name: it lists and watches none.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, update]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
# To take one out of the Service whose node says nothing any more.
- apiGroups: [""]
  resources: [pods/status]
  verbs: [patch]
# Their memory, while they run.
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
