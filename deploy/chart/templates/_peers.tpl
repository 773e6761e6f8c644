{{- /* Proxies of Linkerd may meet at a port of their own, where identities are required as well. */ -}}
{{- define "cqox.inboundPorts" -}}
{{- $ports := list (dict "port" .port "protocol" "TCP") -}}
{{- if eq .root.Values.mesh "linkerd" -}}{{- $ports = append $ports (dict "port" 4143 "protocol" "TCP") -}}{{- end -}}
{{ toJson $ports }}
{{- end }}

{{- define "cqox.egress" -}}
- ports: [{port: {{ .port }}, protocol: TCP}]
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- define "cqox.egressOfAll" -}}
{{- $policy := .root.Values.networkPolicy -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
  to:
    {{- toYaml $policy.dns | nindent 4 }}
{{- if .root.Values.telemetry.endpoint }}
{{ include "cqox.egress" $policy.telemetry }}
{{- end }}
{{- if and .root.Values.vault.address (ne .component "migration") }}
{{ include "cqox.egress" $policy.vault }}
{{- end }}
{{- if eq .root.Values.mesh "istio" }}
# Configuration and certificates of the sidecar.
- ports: [{port: 15012, protocol: TCP}]
  to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .root.Values.istio.namespace }}}}}]
{{- else if eq .root.Values.mesh "linkerd" }}
# Identity, destinations and policies of the proxy.
- ports: [{port: 8080, protocol: TCP}, {port: 8086, protocol: TCP}, {port: 8090, protocol: TCP}]
  to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .root.Values.linkerd.namespace }}}}}]
{{- end }}
{{- end }}

{{- /* Who looks at the services without being a client. */ -}}
{{- define "cqox.watchers" -}}
{{- $peers := list -}}
{{- if .Values.monitoring.serviceMonitor -}}{{- $peers = .Values.networkPolicy.monitoring -}}{{- end -}}
{{- if .Values.chaos.enabled -}}
{{- $peers = append $peers (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .Values.chaos.namespace))) -}}
{{- end -}}
{{- with $peers -}}{{ toYaml . }}{{- end -}}
{{- end }}
