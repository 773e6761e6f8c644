{{- /* Identities as AuthorizationPolicy has them: SPIFFE ids without `spiffe://`. */ -}}
{{- define "cqox.principals" -}}
{{- $names := list -}}
{{- range .accounts -}}
{{- $names = append $names (printf "%s/ns/%s/sa/%s" $.root.Values.istio.trustDomain .namespace .serviceAccount) -}}
{{- end -}}
{{ toJson $names }}
{{- end }}

{{- define "cqox.scrapeRule" -}}
{{- if and .Values.monitoring.serviceMonitor .Values.meshed.monitoring -}}
- from: [{source: {principals: {{ include "cqox.principals" (dict "root" $ "accounts" .Values.meshed.monitoring) }}}}]
  to: [{operation: {methods: [GET], paths: [/metrics]}}]
{{- end }}
{{- end }}

{{- /* Connections are those of the sidecars: they open as fast, and end as early, as between gateway and engine without
      a mesh. Of an idle one, who sends requests has to be the first to let go. */ -}}
{{- define "cqox.istioPool" -}}
connectionPool:
  tcp: {connectTimeout: 2s}
  http: {idleTimeout: 30s}
{{- end }}

{{- define "cqox.istioRoute" -}}
{{- $host := include "cqox.host" (dict "root" .root "component" "gateway") -}}
{{- $canary := .root.Values.meshed.canary -}}
route:
  - destination: {host: {{ $host }}, port: {number: 8082}}
    weight: {{ sub 100 $canary.percent }}
  {{- if $canary.service }}
  - destination: {host: {{ printf "%s.%s.svc.%s" $canary.service .root.Release.Namespace .root.Values.clusterDomain }}, port: {number: 8082}}
    weight: {{ $canary.percent }}
  {{- end }}
{{- if gt (int .root.Values.istio.mirrorPercent) 0 }}
mirror: {host: {{ printf "%s.%s.svc.%s" $canary.service .root.Release.Namespace .root.Values.clusterDomain }}, port: {number: 8082}}
mirrorPercentage: {value: {{ .root.Values.istio.mirrorPercent }}}
{{- end }}
# Clients retry; attempts of a mesh would come on top of theirs.
retries: {attempts: 0}
timeout: {{ .timeout }}
{{- end }}
