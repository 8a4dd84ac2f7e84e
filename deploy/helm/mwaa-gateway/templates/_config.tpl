{{/* The configuration: the values, and for a Deployment what a listener on the pod's address needs. */}}
{{- define "mwaa-gateway.config" -}}
{{- $config := deepCopy .Values.config }}
{{- if eq .Values.mode "deployment" }}
  {{- $name := include "mwaa-gateway.name" . }}
  {{- $hosts := list }}
  {{- range list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) }}
    {{- $hosts = append $hosts (printf "%s:%d" . (int $.Values.service.port)) }}
  {{- end }}
  {{- $listener := dict "address" "0.0.0.0:8443" "hosts" $hosts }}
  {{- $_ := set $listener "networks" (list "127.0.0.0/8" "10.0.0.0/8" "100.64.0.0/10" "172.16.0.0/12" "192.168.0.0/16") }}
  {{- if .Values.tls.secretName }}
    {{- $folder := "/run/mwaa-gateway/tls" }}
    {{- $tls := dict "certificate" (printf "%s/tls.crt" $folder) "key" (printf "%s/tls.key" $folder) }}
    {{- if not .Values.secret.secretName }}{{ $_ := set $tls "client_ca" (printf "%s/ca.crt" $folder) }}{{ end }}
    {{- $_ := set $listener "tls" $tls }}
  {{- end }}
  {{- if .Values.secret.secretName }}
    {{- $_ := set $listener "secret_file" (printf "/run/mwaa-gateway/secret/%s" .Values.secret.key) }}
  {{- end }}
  {{- $limits := dict "shutdown_delay" "5s" }}
  {{- $config = mergeOverwrite (dict "listener" $listener "limits" $limits) $config }}
  {{- if .Values.fleet.secretName }}
    {{- $folder := "/run/mwaa-gateway/fleet" }}
    {{- $fleet := dict "key_file" (printf "%s/%s" $folder .Values.fleet.key) }}
    {{- with .Values.fleet.passwordKey }}{{ $_ := set $fleet "password_file" (printf "%s/%s" $folder .) }}{{ end }}
    {{- $config = mergeOverwrite (dict "fleet" $fleet) $config }}
  {{- end }}
{{- end }}
{{- include "mwaa-gateway.toml" (list $config "") | trim }}
{{- end }}

{{/* A table as TOML. Its arguments: the table, and its name with a dot at the end. */}}
{{- define "mwaa-gateway.toml" -}}
{{- $name := index . 1 }}
{{- range $key, $value := index . 0 }}
  {{- if not (kindIs "map" $value) }}
{{ $key }} = {{ include "mwaa-gateway.tomlValue" $value }}
  {{- end }}
{{- end }}
{{- range $key, $value := index . 0 }}
  {{- if kindIs "map" $value }}
    {{- $path := printf "%s%s" $name $key }}

[{{ $path }}]{{ include "mwaa-gateway.toml" (list $value (printf "%s." $path)) }}
  {{- end }}
{{- end }}
{{- end }}

{{/* A JSON string is a TOML string too. Helm reads every number of a file as a float. */}}
{{- define "mwaa-gateway.tomlValue" -}}
{{- if kindIs "slice" . -}}
  {{- $items := list }}{{ range . }}{{ $items = append $items (include "mwaa-gateway.tomlValue" .) }}{{ end -}}
  [{{ join ", " $items }}]
{{- else if kindIs "float64" . }}{{ int64 . }}
{{- else }}{{ toJson . }}
{{- end }}
{{- end }}

{{/* The ports of the configuration's addresses. */}}
{{- define "mwaa-gateway.probesPort" -}}
{{- regexFind "[0-9]+$" .Values.config.management.probes }}
{{- end }}
{{- define "mwaa-gateway.listenerPort" -}}
{{- $default := ternary "0.0.0.0:8443" "127.0.0.1:8080" (eq .Values.mode "deployment") }}
{{- regexFind "[0-9]+$" (dig "listener" "address" $default .Values.config) }}
{{- end }}

{{/* Pods with this annotation are replaced when the configuration changes. */}}
{{- define "mwaa-gateway.checksum" -}}
checksum/mwaa-gateway-config: {{ include "mwaa-gateway.config" . | sha256sum }}
{{- end }}
