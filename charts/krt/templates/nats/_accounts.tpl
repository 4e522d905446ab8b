{{/*
Who may connect to the chart's own NATS: an account for the namespaces of the first operator, called like the release's, and
one for each tenant, called like it. What is in one account cannot even be named in another. As JSON: account → password.
A password stays what it is while its Secret is there.
*/}}
{{- define "krt.natsPasswords" -}}
{{- $passwords := dict -}}
{{- $secret := include "krt.natsName" . -}}
{{- $accounts := list .Release.Namespace -}}
{{- range .Values.tenants }}{{ $accounts = append $accounts .name }}{{ end -}}
{{- range $account := $accounts -}}
{{- $password := get $.Values.nats.server.passwords $account -}}
{{- if not $password -}}
{{- $there := lookup "v1" "Secret" $account $secret | default dict -}}
{{- $password = get (default dict $there.data) "password" | b64dec -}}
{{- end -}}
{{- $_ := set $passwords $account (default (randAlphaNum 32) $password) -}}
{{- end -}}
{{- $passwords | toJson -}}
{{- end -}}

{{/* A Secret by which to connect; call with a dict of root, name, namespace, account, password. */}}
{{- define "krt.natsSecret" }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "krt.labels" .root | nindent 4 }}
    app.kubernetes.io/component: nats
type: Opaque
stringData:
  username: {{ .account | quote }}
  password: {{ .password | quote }}
  url: {{ printf "nats://%s:%s@%s.%s.svc:4222" .account .password (include "krt.natsName" .root) .root.Release.Namespace | quote }}
{{- end }}

{{/* What an account may store; call with (list . namespace). */}}
{{- define "krt.natsLimits" -}}
{{- $root := index . 0 -}}
{{- $limits := deepCopy $root.Values.nats.server.accountLimits -}}
{{- $namespace := index . 1 -}}
{{- range $root.Values.tenants -}}
{{- if eq .name $namespace -}}
{{- $limits = mergeOverwrite $limits (default dict .nats) -}}
{{- end -}}
{{- end -}}
{{- $limits | toJson -}}
{{- end -}}
{{/* The accounts of the server's configuration; call with (dict "root" . "passwords" passwords). */}}
{{- define "krt.natsAccounts" -}}
accounts {
{{- range $namespace, $password := .passwords }}
{{- $limits := include "krt.natsLimits" (list $.root $namespace) | fromJson }}
  {{ $namespace | quote }}: {
    jetstream: { max_file: {{ $limits.maxFile }}, max_memory: {{ $limits.maxMemory }}, max_streams: {{ int $limits.maxStreams }}, max_consumers: {{ int $limits.maxConsumers }} }
    users: [ { user: {{ $namespace | quote }}, password: {{ $password | quote }} } ]
  }
{{- end }}
}
{{- end -}}
