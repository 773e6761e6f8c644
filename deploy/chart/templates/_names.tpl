{{- define "cqox.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if contains "cqox" .Release.Name }}{{ .Release.Name }}
{{- else }}{{ printf "%s-cqox" .Release.Name }}{{ end -}}
{{- end }}

{{- define "cqox.name" -}}
{{ include "cqox.fullname" .root | trunc 52 | trimSuffix "-" }}-{{ .component }}
{{- end }}

{{- define "cqox.selector" -}}
app.kubernetes.io/name: cqox
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "cqox.labels" -}}
{{ include "cqox.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Name, namespace and labels of an object: `dict "root" $ "component" "gateway"`, and `name` where it is another. */ -}}
{{- define "cqox.metadata" -}}
name: {{ .name | default (include "cqox.name" .) }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "cqox.labels" . | nindent 2 }}
{{- end }}

{{- define "cqox.port" -}}
{{ get (dict "gateway" 8082 "engine" 8080) .component }}
{{- end }}

{{- /* The names of a Service, from the shortest. */ -}}
{{- define "cqox.hostNames" -}}
{{- $name := .name | default (include "cqox.name" .) -}}
{{- $namespace := .root.Release.Namespace -}}
{{ $name }},{{ $name }}.{{ $namespace }},{{ $name }}.{{ $namespace }}.svc,{{ $name }}.{{ $namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end }}

{{- define "cqox.host" -}}
{{ include "cqox.name" . }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end }}

{{- define "cqox.scheme" -}}
{{ ternary "https" "http" .root.Values.tls.enabled }}
{{- end }}

{{- /* SIGTERM comes after the pause, and a service ends by itself 5 s after its drain. */ -}}
{{- define "cqox.graceSeconds" -}}
{{- $part := get .root.Values .component -}}
{{ add .root.Values.preStopSeconds $part.drainSeconds 10 }}
{{- end }}

{{- /* Above every deadline of ours, so that no proxy ends what is still in time. */ -}}
{{- define "cqox.routeTimeout" -}}
{{ add .Values.analysisSeconds 30 }}s
{{- end }}

{{- /* Gateways by the share of the requests that each gets, for both kinds of HTTPRoute. */ -}}
{{- define "cqox.backends" -}}
{{- $canary := .Values.meshed.canary -}}
- {name: {{ include "cqox.name" (dict "root" $ "component" "gateway") }}, port: 8082, weight: {{ sub 100 $canary.percent }}}
{{- if $canary.service }}
- {name: {{ $canary.service }}, port: 8082, weight: {{ $canary.percent }}}
{{- end }}
{{- end }}
