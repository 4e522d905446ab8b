{{/* Names and labels that all objects share. */}}

{{- define "krt.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of the release's objects; suffixes have at most 22 characters. */}}
{{- define "krt.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "krt.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "krt.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "krt.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "krt.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* What all pods of the release's own have. */}}
{{- define "krt.ofRelease" -}}
app.kubernetes.io/name: {{ include "krt.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* By which Deployments, Services and policies find pods; call with (list . "component"). */}}
{{- define "krt.selector" -}}
{{- $root := index . 0 -}}
{{ include "krt.ofRelease" $root }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* An image by digest if there is one, else by tag; call with (list image defaultTag). */}}
{{- define "krt.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag | toString) -}}
{{- end -}}
{{- end -}}

{{- define "krt.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* All namespaces that are named, as a list in JSON. */}}
{{- define "krt.namespaces" -}}
{{- $all := append .Values.scope.namespaces .Release.Namespace -}}
{{- range .Values.tenants }}{{ $all = append $all .name }}{{ end -}}
{{- $all | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* The namespaces that the first operator works in, which share an account of the chart's NATS. */}}
{{- define "krt.sharedNamespaces" -}}
{{- append .Values.scope.namespaces .Release.Namespace | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* Whether the chart brings its own NATS: "true" or nothing. */}}
{{- define "krt.ownNats" -}}
{{- if not .Values.nats.urls }}true{{ end -}}
{{- end -}}

{{- define "krt.natsName" -}}
{{- printf "%s-nats" (include "krt.fullname" .) -}}
{{- end -}}

{{/* The URL of NATS without who connects. */}}
{{- define "krt.natsUrls" -}}
{{- if .Values.nats.urls -}}
{{- join "," .Values.nats.urls -}}
{{- else -}}
{{- printf "nats://%s.%s.svc:4222" (include "krt.natsName" .) .Release.Namespace -}}
{{- end -}}
{{- end -}}
