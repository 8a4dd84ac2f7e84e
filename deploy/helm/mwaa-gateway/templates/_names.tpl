{{/* The name of what this release makes. */}}
{{- define "mwaa-gateway.name" -}}
{{- if contains "mwaa-gateway" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-mwaa-gateway" (.Release.Name | trunc 39 | trimSuffix "-") }}
{{- end }}
{{- end }}

{{- define "mwaa-gateway.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "mwaa-gateway.name" .) "default") }}
{{- end }}

{{/* The label that selects the pods; a pod with a sidecar has it too. */}}
{{- define "mwaa-gateway.selectorLabels" -}}
mwaa-gateway/release: {{ .Release.Name | quote }}
{{- end }}

{{- define "mwaa-gateway.labels" -}}
app.kubernetes.io/name: mwaa-gateway
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "mwaa-gateway.selectorLabels" . }}
{{- end }}
