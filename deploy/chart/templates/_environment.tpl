{{- /* Secrets that a component reads, as a YAML list of {file, name, key, variable}. */ -}}
{{- define "cqox.secretFiles" -}}
{{- $secrets := .root.Values.secrets -}}
{{- $wanted := list -}}
{{- if eq .component "migration" -}}
{{- $url := ternary $secrets.migrationPostgresUrl $secrets.postgresUrl (ne $secrets.migrationPostgresUrl.name "") -}}
{{- $wanted = list (dict "file" "postgres-url" "variable" "POSTGRES_URL_FILE" "secret" $url) -}}
{{- else -}}
{{- $wanted = list
      (dict "file" "hop-key" "variable" "CQOX_HOP_KEY_FILE" "secret" $secrets.hopKey)
      (dict "file" "admin-token" "variable" "CQOX_ADMIN_TOKEN_FILE" "secret" $secrets.adminToken) -}}
{{- if eq .component "engine" -}}
{{- $wanted = concat $wanted (list
      (dict "file" "postgres-url" "variable" "POSTGRES_URL_FILE" "secret" $secrets.postgresUrl)
      (dict "file" "redis-url" "variable" "REDIS_URL_FILE" "secret" $secrets.redisUrl)
      (dict "file" "object-store-access-key" "variable" "CQOX_OBJECT_STORE_ACCESS_KEY_FILE" "secret" $secrets.objectStoreAccessKey)
      (dict "file" "object-store-secret-key" "variable" "CQOX_OBJECT_STORE_SECRET_KEY_FILE" "secret" $secrets.objectStoreSecretKey)) -}}
{{- else -}}
{{- $wanted = append $wanted
      (dict "file" "oidc-client-secret" "variable" "CQOX_OIDC_CLIENT_SECRET_FILE" "secret" $secrets.oidcClientSecret) -}}
{{- end -}}
{{- end -}}
{{- range $wanted }}
{{- if .secret.name }}
- {file: {{ .file }}, variable: {{ .variable }}, name: {{ .secret.name | quote }}, key: {{ .secret.key | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{- /* Settings that the chart decides, as a YAML object; values are texts. */ -}}
{{- define "cqox.settings" -}}
{{- $values := .root.Values -}}
{{- $part := get $values .component -}}
CQOX_AUTH: {{ $values.auth.mode | quote }}
CQOX_HOST: {{ $values.listen | quote }}
CQOX_ALLOWED_HOSTS: {{ include "cqox.allowedHosts" . | quote }}
CQOX_DRAIN_DELAY: "0"
CQOX_DRAIN_SECONDS: {{ $part.drainSeconds | quote }}
CQOX_ANALYSIS_SECONDS: {{ $values.analysisSeconds | quote }}
CQOX_LOG_FORMAT: json
{{- /* Below the mount: Kubernetes gives the root of a volume to the group again where an engine has closed it to others,
      with everything in it, and the key ring would be one that others can read. */}}
CQOX_DATA_DIR: /var/lib/cqox/data
CQOX_ADMIN_SOCKET: /tmp/cqox-admin.sock
{{- with $values.telemetry.traceUrl }}
CQOX_TRACE_URL: {{ . | quote }}
{{- end }}
{{- with $values.telemetry.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
OTEL_RESOURCE_ATTRIBUTES: k8s.namespace.name={{ .root.Release.Namespace }},k8s.pod.name=$(POD_NAME),k8s.node.name=$(NODE_NAME)
{{- range include "cqox.secretFiles" . | fromYamlArray }}
{{ .variable }}: {{ printf "/etc/cqox/secrets/%s" .file }}
{{- end }}
{{- with $values.vault.address }}
CQOX_VAULT_ADDR: {{ . | quote }}
CQOX_VAULT_ROLE_FILE: /etc/cqox/vault/login.json
{{- if $values.vault.ca.name }}
CQOX_VAULT_CA_FILE: /etc/cqox/vault-ca/ca.pem
{{- end }}
{{- end }}
{{- if $values.tls.enabled }}
CQOX_TLS_DIR: /etc/cqox/tls
{{- end }}
{{- if eq .component "gateway" }}
ENGINE_URL: {{ printf "%s://%s:8080" (include "cqox.scheme" .) (include "cqox.name" (dict "root" .root "component" "engine")) }}
{{- if or (ne $values.mesh "none") $values.ingress.enabled $values.httpRoute.enabled }}
{{- /* Behind a proxy every client has its address. */}}
CQOX_CONNECTIONS_PER_CLIENT: "0"
{{- end }}
{{- if eq $values.auth.mode "oidc" }}
CQOX_OIDC_ISSUER: {{ $values.auth.oidc.issuer | quote }}
CQOX_OIDC_AUDIENCE: {{ $values.auth.oidc.audience | quote }}
{{- with $values.auth.oidc.clientId }}
CQOX_OIDC_CLIENT_ID: {{ . | quote }}
{{- end }}
{{- with $values.auth.oidc.cliClientId }}
CQOX_OIDC_CLI_CLIENT_ID: {{ . | quote }}
{{- end }}
{{- end }}
{{- else }}
CQOX_CONCURRENT_ANALYSES: {{ $part.concurrentAnalyses | quote }}
CQOX_WORKER_MEMORY_BYTES: {{ $part.workerMemoryBytes | quote }}
{{- with $values.encryption.keys }}
CQOX_KEYS: {{ . }}
{{- end }}
{{- with $values.storage.objectStore }}
{{- if .url }}
CQOX_OBJECT_STORE: {{ .url | quote }}
CQOX_OBJECT_STORE_REGION: {{ .region | quote }}
CQOX_OBJECT_COPIES_BYTES: {{ .copiesBytes | quote }}
{{- with .endpoint }}
CQOX_OBJECT_STORE_ENDPOINT: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if $values.tls.enabled }}
CQOX_TLS_PEERS: {{ join "," $values.tls.enginePeers | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* A canary answers to the names of the gateway that it is one of; Envoy adds "-shadow" to what it mirrors. */ -}}
{{- define "cqox.allowedHosts" -}}
{{- $names := splitList "," (include "cqox.hostNames" .) -}}
{{- if eq .component "gateway" -}}
{{- $names = concat $names .root.Values.hosts -}}
{{- with .root.Values.meshed.canaryOf -}}
{{- $main := splitList "," (include "cqox.hostNames" (dict "root" $.root "component" "gateway" "name" .)) -}}
{{- range concat $main $.root.Values.hosts -}}
{{- $names = append (append $names .) (printf "%s-shadow" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ join "," (uniq $names) }}
{{- end }}

{{- define "cqox.env" -}}
{{- $settings := include "cqox.settings" . | fromYaml -}}
{{- range $name, $value := (get .root.Values .component).settings -}}
{{- if hasKey $settings $name -}}
{{- fail (printf "%s.settings: %s is set by the chart already, by a value of its own." $.component $name) -}}
{{- end -}}
{{- $_ := set $settings $name $value -}}
{{- end -}}
{{- /* These two come first, because another variable refers to them. */}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- range $name, $value := $settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
