{{- /* No root, nothing written but to volumes, no capability, the runtime's filter of system calls. */ -}}
{{- define "cqox.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "cqox.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "cqox.image" -}}
{{- $part := get .root.Values .component -}}
{{ printf "%s@%s" $part.image.repository $part.image.digest }}
{{- end }}

{{- define "cqox.probe" -}}
{{- if and (eq .component "engine") .root.Values.tls.enabled -}}
{{- /* An engine demands a certificate, which the kubelet has none of. */ -}}
exec: {command: [python, -SE, /opt/image/healthcheck.py, "8080", {{ .path }}]}
{{- else -}}
httpGet: {path: {{ .path }}, port: http, scheme: {{ include "cqox.scheme" . | upper }}}
{{- end }}
{{- end }}

{{- define "cqox.volumes" -}}
{{- $files := include "cqox.secretFiles" . | fromYamlArray -}}
{{- if $files }}
- name: secrets
  projected:
    # The group of the pod reads them: `fsGroup`.
    defaultMode: 0440
    sources:
      {{- range $files }}
      - secret: {name: {{ .name | quote }}, items: [{key: {{ .key | quote }}, path: {{ .file }}}]}
      {{- end }}
{{- end }}
{{- if and .root.Values.vault.address (ne .component "migration") }}
- name: vault
  projected:
    defaultMode: 0440
    sources:
      - configMap: {name: {{ include "cqox.name" . }}-vault, items: [{key: login.json, path: login.json}]}
      - serviceAccountToken: {audience: {{ .root.Values.vault.audience | quote }}, expirationSeconds: 3600, path: token}
{{- with .root.Values.vault.ca.name }}
- name: vault-ca
  secret: {secretName: {{ . | quote }}, items: [{key: {{ $.root.Values.vault.ca.key | quote }}, path: ca.pem}]}
{{- end }}
{{- end }}
{{- if .root.Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ ternary .root.Values.tls.gatewaySecret .root.Values.tls.engineSecret (eq .component "gateway") | quote }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- define "cqox.mounts" -}}
{{- if include "cqox.secretFiles" . | fromYamlArray }}
- {name: secrets, mountPath: /etc/cqox/secrets, readOnly: true}
{{- end }}
{{- if and .root.Values.vault.address (ne .component "migration") }}
- {name: vault, mountPath: /etc/cqox/vault, readOnly: true}
{{- if .root.Values.vault.ca.name }}
- {name: vault-ca, mountPath: /etc/cqox/vault-ca, readOnly: true}
{{- end }}
{{- end }}
{{- if .root.Values.tls.enabled }}
- {name: tls, mountPath: /etc/cqox/tls/current, readOnly: true}
{{- end }}
{{- end }}

{{- /* A native sidecar starts before the service and ends after it, so that a drain keeps its connections. */ -}}
{{- define "cqox.meshAnnotations" -}}
{{- if eq .root.Values.mesh "istio" -}}
sidecar.istio.io/nativeSidecar: "true"
{{- else if eq .root.Values.mesh "linkerd" -}}
linkerd.io/inject: enabled
config.beta.linkerd.io/proxy-enable-native-sidecar: "true"
{{- end }}
{{- end }}

{{- define "cqox.meshLabels" -}}
{{- if eq .root.Values.mesh "istio" -}}
sidecar.istio.io/inject: "true"
{{- end }}
{{- end }}

{{- /* The pod template of a service: `dict "root" $ "component" "gateway"`. */ -}}
{{- define "cqox.podTemplate" -}}
{{- $part := get .root.Values .component -}}
metadata:
  labels:
    {{- include "cqox.labels" . | nindent 4 }}
    {{- with include "cqox.meshLabels" . }}
    {{- . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .component }}
    {{- with include "cqox.meshAnnotations" . }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $part.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "cqox.name" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "cqox.graceSeconds" . }}
  securityContext:
    {{- include "cqox.podSecurity" . | nindent 4 }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $part.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $part.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $part.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "cqox.selector" $ | nindent 10 }}
      # Pods of one revision: those of the one before are about to end.
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "cqox.image" . }}
      imagePullPolicy: {{ $part.image.pullPolicy }}
      ports: [{name: http, containerPort: {{ include "cqox.port" . }}}]
      env:
        {{- include "cqox.env" . | trim | nindent 8 }}
      securityContext:
        {{- include "cqox.containerSecurity" . | nindent 8 }}
      resources:
        {{- toYaml $part.resources | nindent 8 }}
      startupProbe:
        {{- include "cqox.probe" (merge (dict "path" "/health/ready") .) | nindent 8 }}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 60
      livenessProbe:
        {{- include "cqox.probe" (merge (dict "path" "/health/live") .) | nindent 8 }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        {{- include "cqox.probe" (merge (dict "path" "/health/ready") .) | nindent 8 }}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 3
      lifecycle:
        preStop: {sleep: {seconds: {{ .root.Values.preStopSeconds }}}}
      volumeMounts:
        - {name: temporary, mountPath: /tmp}
        {{- if eq .component "engine" }}
        - {name: data, mountPath: /var/lib/cqox}
        {{- end }}
        {{- with include "cqox.mounts" . | trim }}
        {{- . | nindent 8 }}
        {{- end }}
  volumes:
    - name: temporary
      emptyDir: {sizeLimit: {{ ternary .root.Values.engine.temporarySize "64Mi" (eq .component "engine") }}}
    {{- if eq .component "engine" }}
    - name: data
      {{- if .root.Values.storage.objectStore.url }}
      emptyDir: {sizeLimit: {{ .root.Values.storage.size }}}
      {{- else }}
      persistentVolumeClaim: {claimName: {{ .root.Values.storage.existingClaim | default (include "cqox.name" (dict "root" .root "component" "data")) }}}
      {{- end }}
    {{- end }}
    {{- with include "cqox.volumes" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end }}
