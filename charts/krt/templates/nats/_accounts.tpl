{{/*
Who may connect to the chart's own NATS: an account for the namespaces of the first operator, called like the release's, and
one for each tenant, called like it. What is in one account cannot even be named in another. Three users of each: the operator
(by the account's name), pods (NAME.pods), and who pushes packages (NAME.push). As JSON: user → password. A password stays what
it is while its Secret is there.
*/}}
{{- define "krt.natsPasswords" -}}
{{- $passwords := dict -}}
{{- $root := . -}}
{{- $secret := include "krt.natsName" . -}}
{{- range $operator := include "krt.operators" . | fromJsonArray -}}
{{- $account := default $root.Release.Namespace $operator.tenant -}}
{{- range $user := list
      (dict "name" $account "namespace" $root.Release.Namespace "secret" (include "krt.operatorNatsSecret" (list $root $operator)))
      (dict "name" (printf "%s.pods" $account) "namespace" $account "secret" $secret)
      (dict "name" (printf "%s.push" $account) "namespace" $account "secret" (printf "%s-push" $secret)) -}}
{{- $password := get $root.Values.nats.server.passwords $user.name -}}
{{- if not $password -}}
{{- $there := lookup "v1" "Secret" $user.namespace $user.secret | default dict -}}
{{- $password = get (default dict $there.data) "password" | b64dec -}}
{{- end -}}
{{- $_ := set $passwords $user.name (default (randAlphaNum 32) $password) -}}
{{- end -}}
{{- end -}}
{{- $passwords | toJson -}}
{{- end -}}

{{/* A Secret by which to connect; call with a dict of root, name, namespace, user, password. */}}
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
  username: {{ .user | quote }}
  password: {{ .password | quote }}
  url: {{ printf "nats://%s:%s@%s.%s.svc:4222" .user .password (include "krt.natsName" .root) .root.Release.Namespace | quote }}
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
{{/*
What pods may not do: change packages and compiled components, which others of the account run. Call with a list of namespaces.
Where versions are everywhere, only those of namespaces that are named are kept from pods.
*/}}
{{- define "krt.natsOfPods" -}}
{{- $denied := list -}}
{{- range $namespace := . -}}
{{- range $bucket := list (printf "packages_%s" $namespace) (printf "compiled_%s" $namespace) -}}
{{- $denied = append $denied (printf "$O.%s.>" $bucket) -}}
{{- range $verb := list "CREATE" "UPDATE" "DELETE" "PURGE" "SNAPSHOT" "RESTORE" "MSG.DELETE" "LEADER.STEPDOWN" "PEER.REMOVE" -}}
{{- $denied = append $denied (printf "$JS.API.STREAM.%s.OBJ_%s" $verb $bucket) -}}
{{- end -}}
{{- end -}}
{{- end -}}
publish: { deny: {{ $denied | toRawJson }} }
{{- end -}}

{{/* What who pushes packages may do: that. Call with a list of namespaces; none = all. */}}
{{- define "krt.natsOfPush" -}}
{{- $allowed := list "$JS.API.INFO" -}}
{{- if . -}}
{{- range $namespace := . -}}
{{- $bucket := printf "packages_%s" $namespace -}}
{{- $allowed = append $allowed (printf "$O.%s.>" $bucket) -}}
{{- range $verb := list "STREAM.INFO" "STREAM.CREATE" "STREAM.PURGE" "STREAM.MSG.GET" "DIRECT.GET" -}}
{{- $allowed = append $allowed (printf "$JS.API.%s.OBJ_%s" $verb $bucket) -}}
{{- end -}}
{{- $allowed = append $allowed (printf "$JS.API.DIRECT.GET.OBJ_%s.>" $bucket) -}}
{{- end -}}
{{- else -}}
{{- $allowed = concat $allowed (list "$O.>" "$JS.API.STREAM.>" "$JS.API.DIRECT.GET.>") -}}
{{- end -}}
publish: { allow: {{ $allowed | toRawJson }} }, subscribe: { allow: ["_INBOX.>"] }
{{- end -}}

{{/* The accounts of the server's configuration; call with (dict "root" . "passwords" passwords). */}}
{{- define "krt.natsAccounts" -}}
{{- $root := .root -}}
{{- $passwords := .passwords -}}
accounts {
{{- range $operator := include "krt.operators" .root | fromJsonArray }}
{{- $account := default $root.Release.Namespace $operator.tenant }}
{{- $namespaces := ternary $operator.namespaces (include "krt.sharedNamespaces" $root | fromJsonArray) (ne $operator.tenant "") }}
{{- $pushed := ternary (list) $namespaces (and $root.Values.scope.clusterWide (eq $operator.tenant "")) }}
{{- $limits := include "krt.natsLimits" (list $root $account) | fromJson }}
  {{ $account | quote }}: {
    jetstream: { max_file: {{ $limits.maxFile }}, max_memory: {{ $limits.maxMemory }}, max_streams: {{ int $limits.maxStreams }}, max_consumers: {{ int $limits.maxConsumers }} }
    users: [
      { user: {{ $account | quote }}, password: {{ get $passwords $account | quote }} }
      {{- $pods := printf "%s.pods" $account }}
      { user: {{ $pods | quote }}, password: {{ get $passwords $pods | quote }}, permissions: { {{ include "krt.natsOfPods" $namespaces }} } }
      {{- $push := printf "%s.push" $account }}
      { user: {{ $push | quote }}, password: {{ get $passwords $push | quote }}, permissions: { {{ include "krt.natsOfPush" $pushed }} } }
    ]
  }
{{- end }}
}
{{- end -}}
