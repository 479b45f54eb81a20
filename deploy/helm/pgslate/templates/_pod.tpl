{{/* What all of pgslate's pods have in common. Call each with the chart's root context. */}}
{{- define "pgslate.pod" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "pgslate.container" -}}
image: {{ printf "%s:%s" .Values.image.repository .Values.image.tag | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end }}

{{- define "pgslate.env" -}}
{{- if .Values.database.host }}
- name: PGHOST
  value: {{ .Values.database.host | quote }}
- name: PGPORT
  value: {{ .Values.database.port | quote }}
{{- else }}
- name: PGHOST
  value: {{ printf "$(%s_SERVICE_HOST)" .Values.database.service | replace "-" "_" | upper | quote }}
- name: PGPORT
  value: {{ printf "$(%s_SERVICE_PORT)" .Values.database.service | replace "-" "_" | upper | quote }}
{{- end }}
- name: PGUSER
  value: {{ required "give database.user, the role to log in as" .Values.database.user | quote }}
{{- if .Values.database.name }}
- name: PGDATABASE
  value: {{ .Values.database.name | quote }}
{{- end }}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.secret | quote }}
      key: {{ .Values.database.passwordKey | quote }}
{{- end }}
