{{/*
The operators of the release, as JSON: one for the release's namespace and those of scope.namespaces, and one for each
tenant, which knows that tenant's NATS only. Each: name (of its objects), component, namespaces (empty: all), tenant.
*/}}
{{- define "krt.operators" -}}
{{- if and .Values.scope.clusterWide .Values.tenants -}}
{{- fail "tenants have operators of their own: set scope.clusterWide to false" -}}
{{- end -}}
{{- $name := printf "%s-operator" (include "krt.fullname" .) -}}
{{- $namespaces := list -}}
{{- if not .Values.scope.clusterWide -}}
{{- $namespaces = append .Values.scope.namespaces .Release.Namespace | uniq | sortAlpha -}}
{{- end -}}
{{- $all := list (dict "name" $name "component" "operator" "namespaces" $namespaces "tenant" "") -}}
{{- range .Values.tenants -}}
{{- if has .name $namespaces -}}
{{- fail (printf "tenant %s: its namespace is the release's or one of scope.namespaces" .name) -}}
{{- end -}}
{{- $all = append $all (dict "name" (printf "%s-%s" $name .name | trunc 63 | trimSuffix "-") "component" (printf "operator-%s" .name) "namespaces" (list .name) "tenant" .name) -}}
{{- end -}}
{{- $all | toJson -}}
{{- end -}}

{{/* The ServiceAccount of an operator; call with (list . operator). */}}
{{- define "krt.serviceAccount" -}}
{{- $root := index . 0 -}}
{{- $operator := index . 1 -}}
{{- if and $root.Values.serviceAccount.name (not $operator.tenant) -}}
{{- $root.Values.serviceAccount.name -}}
{{- else -}}
{{- $operator.name -}}
{{- end -}}
{{- end -}}

{{/* Where an operator finds who it is on NATS: a Secret of the release's namespace; call with (list . operator). */}}
{{- define "krt.operatorNatsSecret" -}}
{{- $root := index . 0 -}}
{{- $operator := index . 1 -}}
{{- $name := printf "%s-operator" (include "krt.natsName" $root) -}}
{{- if $operator.tenant -}}
{{- printf "%s-%s" $name $operator.tenant | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}
