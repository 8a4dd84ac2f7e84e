{{/* The gateway as a container, without its probes. */}}
{{- define "mwaa-gateway.container" -}}
name: mwaa-gateway
{{- if .Values.image.digest }}
image: {{ printf "%s@%s" .Values.image.repository .Values.image.digest | quote }}
{{- else }}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- end }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: ["/usr/local/bin/mwaa-gateway"]
args: {{ concat (list "serve" "--config" "/etc/mwaa-gateway/config.toml" "--log-format" "json") .Values.extraArgs | toJson }}
{{- with .Values.env }}
env: {{- toYaml . | nindent 2 }}
{{- end }}
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: ["ALL"]
  seccompProfile:
    type: RuntimeDefault
volumeMounts:
  # a folder, not a single file: single files are never updated
  - name: mwaa-gateway-config
    mountPath: /etc/mwaa-gateway
    readOnly: true
{{- if and .Values.tls.secretName (eq .Values.mode "deployment") }}
  - name: mwaa-gateway-tls
    mountPath: /run/mwaa-gateway/tls
    readOnly: true
{{- end }}
{{- if and .Values.secret.secretName (eq .Values.mode "deployment") }}
  - name: mwaa-gateway-secret
    mountPath: /run/mwaa-gateway/secret
    readOnly: true
{{- end }}
{{- if and .Values.fleet.secretName (eq .Values.mode "deployment") }}
  - name: mwaa-gateway-fleet
    mountPath: /run/mwaa-gateway/fleet
    readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . | indent 2 }}
{{- end }}
readinessProbe:
  httpGet:
    path: /readyz
    port: probes
  periodSeconds: 10
livenessProbe:
  httpGet:
    path: /livez
    port: probes
  periodSeconds: 30
{{- end }}

{{/* The volumes of the container that the chart makes. */}}
{{- define "mwaa-gateway.volumes" -}}
- name: mwaa-gateway-config
  configMap:
    name: {{ include "mwaa-gateway.name" . }}
{{- if and .Values.tls.secretName (eq .Values.mode "deployment") }}
- name: mwaa-gateway-tls
  secret:
    secretName: {{ .Values.tls.secretName }}
    defaultMode: 0440
{{- end }}
{{- if and .Values.secret.secretName (eq .Values.mode "deployment") }}
- name: mwaa-gateway-secret
  secret:
    secretName: {{ .Values.secret.secretName }}
    defaultMode: 0440
{{- end }}
{{- if and .Values.fleet.secretName (eq .Values.mode "deployment") }}
- name: mwaa-gateway-fleet
  secret:
    secretName: {{ .Values.fleet.secretName }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{/*
A native sidecar: an entry of a pod's initContainers. It starts before the pod's containers, which
wait for its startup probe, and stops after them. It does not keep a Job alive.
*/}}
{{- define "mwaa-gateway.sidecar" -}}
- restartPolicy: Always
  {{- include "mwaa-gateway.container" . | nindent 2 }}
  ports:
    - name: probes
      containerPort: {{ include "mwaa-gateway.probesPort" . }}
  startupProbe:
    httpGet:
      path: /readyz
      port: probes
    periodSeconds: 2
    failureThreshold: 30
{{- end }}
