{{/* Prefix of all names. 40 characters leave room for the longest suffix within a Service's 63. */}}
{{- define "vnode-profile.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 26 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{/* A duration of hours, minutes and seconds in seconds, as a text. */}}
{{- define "vnode-profile.seconds" -}}
{{- $seconds := 0.0 -}}
{{- range regexFindAll "[0-9]+[hms]" . -1 -}}
{{- $unit := get (dict "h" 3600 "m" 60 "s" 1) (regexFind "[hms]" .) -}}
{{- $seconds = addf $seconds (mulf (float64 (regexFind "[0-9]+" .)) $unit) -}}
{{- end -}}
{{- printf "%.0f" $seconds -}}
{{- end -}}

{{- define "vnode-profile.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* What a Deployment and a Service select Pods by; it cannot change later. Of a dict with root and component. */}}
{{- define "vnode-profile.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Of a dict with root and component. */}}
{{- define "vnode-profile.labels" -}}
{{ include "vnode-profile.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_") }}
{{- end -}}

{{/* The namespaces whose Pods are never touched, as a comma-separated list. */}}
{{- define "vnode-profile.excludedNamespaces" -}}
{{- concat (list "kube-system" .Release.Namespace) .Values.excludeNamespaces | uniq | join "," -}}
{{- end -}}

{{- define "vnode-profile.certificateSecret" -}}
{{- include "vnode-profile.fullname" . }}-tls
{{- end -}}

{{/* True (a text that is not empty) where the cluster is at least that old, such as "1.21". Of a dict with root and version. */}}
{{- define "vnode-profile.since" -}}
{{- if semverCompare (printf ">=%s.0-0" .version) .root.Capabilities.KubeVersion.Version -}}true{{- end -}}
{{- end -}}

{{/* True (a text that is not empty) where the helper may change Pods. */}}
{{- define "vnode-profile.spills" -}}
{{- $spill := .Values.helper.spill -}}
{{- if and (not .Values.legacy) $spill.enabled (or $spill.unguarded (include "vnode-profile.since" (dict "root" . "version" "1.30"))) -}}true{{- end -}}
{{- end -}}

{{/* How every Pod runs: not as root, and never on a VNode. Of a dict with root, component, and values, which may be empty. */}}
{{- define "vnode-profile.podSpec" -}}
{{- $values := .values | default dict -}}
serviceAccountName: {{ include "vnode-profile.fullname" .root }}-{{ .component }}
{{- /* A Service called vnode would otherwise set VNODE_PORT, which is our flag --port. */}}
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  # Old kubelets give a ServiceAccount's token to root and this group only.
  fsGroup: 1000
  {{- if include "vnode-profile.since" (dict "root" .root "version" "1.19") }}
  seccompProfile: { type: RuntimeDefault }
  {{- end }}
{{- with $values.priorityClassName }}
{{- if or (ne . "system-cluster-critical") (include "vnode-profile.since" (dict "root" $.root "version" "1.17")) (eq $.root.Release.Namespace "kube-system") }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  # On a VNode it would be on the bill, and could not answer for the Pods that are to go there.
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        - matchExpressions:
            - { key: type, operator: NotIn, values: [virtual-kubelet] }
  {{- if and $values.replicas (not (include "vnode-profile.since" (dict "root" .root "version" "1.18"))) }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "vnode-profile.selectorLabels" . | nindent 14 }}
  {{- end }}
{{- if and $values.replicas (include "vnode-profile.since" (dict "root" .root "version" "1.18")) }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    # A cluster of one node takes both; a Pod that waits for a second node would serve nobody.
    whenUnsatisfiable: ScheduleAnyway
    {{- if include "vnode-profile.since" (dict "root" $.root "version" "1.27") }}
    # Else the Pods that an update replaces would count too.
    matchLabelKeys: [pod-template-hash]
    {{- end }}
    labelSelector:
      matchLabels:
        {{- include "vnode-profile.selectorLabels" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Annotations of every Pod: before 1.19 seccomp is set by one. Of a dict with root and values. */}}
{{- define "vnode-profile.podAnnotations" -}}
{{- $annotations := dict -}}
{{- if not (include "vnode-profile.since" (dict "root" .root "version" "1.19")) -}}
{{- $_ := set $annotations "seccomp.security.alpha.kubernetes.io/pod" "runtime/default" -}}
{{- end -}}
{{- with merge $annotations ((.values | default dict).podAnnotations | default dict) -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What every container has: the image, and no rights. */}}
{{- define "vnode-profile.container" -}}
image: {{ include "vnode-profile.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}

{{/* Flags about decisions, which all programs share. */}}
{{- define "vnode-profile.settings" -}}
- --install-namespace={{ .Release.Namespace }}
- --exclude-namespaces={{ include "vnode-profile.excludedNamespaces" . }}
- --allow-skip={{ .Values.allowSkip }}
- --selector-scope={{ .Values.selectorScope }}
{{- with .Values.tenantEffects }}
- --tenant-effects={{ join "," . }}
{{- end }}
- --vnode-node-selector={{ .Values.placement.nodeSelector }}
- --vnode-toleration={{ .Values.placement.toleration }}
- --unreachable-toleration-seconds={{ int64 .Values.placement.unreachableTolerationSeconds }}
{{- end -}}

{{/* Annotations of what lives for one hook only. Of a dict with event and weight. */}}
{{- define "vnode-profile.hook" -}}
helm.sh/hook: {{ .event }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
helm.sh/hook-output-log-policy: hook-failed
{{- end -}}

{{/* A Job's spec up to its Pod's containers. Of a dict with root and component, and retries and limitSeconds if they are others. */}}
{{- define "vnode-profile.jobSpec" -}}
backoffLimit: {{ .retries | default 5 }}
# Less than the five minutes that Helm waits, so that it can tell what went wrong.
activeDeadlineSeconds: {{ .limitSeconds | default 240 }}
template:
  metadata:
    labels:
      {{- include "vnode-profile.selectorLabels" . | nindent 6 }}
    {{- with include "vnode-profile.podAnnotations" . }}
    {{- . | nindent 4 }}
    {{- end }}
  spec:
    {{- include "vnode-profile.podSpec" . | nindent 4 }}
    automountServiceAccountToken: true
    restartPolicy: Never
{{- end -}}

{{- define "vnode-profile.jobResources" -}}
resources:
  requests: { cpu: 20m, memory: 64Mi }
  limits: { memory: 256Mi }
{{- end -}}

{{/* DaemonSets to keep off VNodes, as a JSON list. Whoever has a VNode registered by values has that step done too, unless he says otherwise. */}}
{{- define "vnode-profile.fencedDaemonSets" -}}
{{- if kindIs "invalid" .Values.daemonSets.fence -}}
{{- ternary (list "kube-system/kube-proxy") list .Values.bootstrap.enabled | toJson -}}
{{- else -}}
{{- toJson .Values.daemonSets.fence -}}
{{- end -}}
{{- end -}}

{{/* Flags of vnode bootstrap, which registers and removes. */}}
{{- define "vnode-profile.bootstrapFlags" -}}
{{- $bootstrap := .Values.bootstrap -}}
{{- $name := include "vnode-profile.fullname" . -}}
- --install-namespace={{ .Release.Namespace }}
- --name={{ $name }}
- --vnode-name={{ $bootstrap.name | default $name }}
- --region-id={{ $bootstrap.regionId }}
- --vswitch-id={{ join "," $bootstrap.vSwitchIds }}
- --security-group-id={{ $bootstrap.securityGroupId }}
{{- with $bootstrap.credentials }}
{{- if eq .source "secret" }}
- --credentials-secret={{ .secretName }}
{{- else }}
- --credentials={{ .source }}
{{- end }}
{{- if and (eq .source "ram-role") .ramRole }}
- --ram-role={{ .ramRole }}
{{- end }}
{{- end }}
- --identity={{ $bootstrap.identity.kind }}
{{- if eq $bootstrap.identity.kind "kubeconfig" }}
- --kubeconfig-secret={{ $bootstrap.identity.kubeconfigSecret }}
{{- end }}
{{- range $flag, $value := dict "apiserver" $bootstrap.apiserver "zone-id" $bootstrap.zoneId "resource-group-id" $bootstrap.resourceGroupId "cluster-dns" $bootstrap.clusterDNS "cluster-domain" $bootstrap.clusterDomain "eip-instance-id" $bootstrap.eipInstanceId "eci-endpoint" $bootstrap.endpoint }}
{{- with $value }}
- --{{ $flag }}={{ . }}
{{- end }}
{{- end }}
{{- with $bootstrap.customResources }}
{{- $resources := list }}
{{- range $key := keys . | sortAlpha }}
{{- $resources = append $resources (printf "%s=%v" $key (get $bootstrap.customResources $key)) }}
{{- end }}
- {{ printf "--custom-resources=%s" (join "," $resources) | quote }}
{{- end }}
{{- range $key := keys $bootstrap.tags | sortAlpha }}
- {{ printf "--tag=%s=%v" $key (get $bootstrap.tags $key) | quote }}
{{- end }}
{{- range $bootstrap.taints }}
- --taint={{ .key }}={{ .value }}:{{ .effect }}
{{- end }}
{{- range $flag, $isSet := dict "public-network" $bootstrap.publicNetwork "skip-reach-check" $bootstrap.skipReachCheck "additional" $bootstrap.additional "eci-vpc-endpoint" $bootstrap.vpcEndpoint }}
{{- if $isSet }}
- --{{ $flag }}
{{- end }}
{{- end }}
{{- if $bootstrap.endpointCA }}
- --eci-ca=/eci/ca.crt
{{- end }}
- --wait={{ $bootstrap.waitSeconds }}s
{{- end -}}

{{/* The container of vnode bootstrap but for its arguments: proxy, credentials that are exchanged, and a CA of its own. */}}
{{- define "vnode-profile.bootstrapContainer" -}}
{{- $bootstrap := .Values.bootstrap -}}
{{- $rrsa := eq $bootstrap.credentials.source "rrsa" -}}
{{- with include "vnode-profile.bootstrapEnv" . | trim -}}
env:
  {{- . | nindent 2 }}
{{ end -}}
{{- if or $rrsa $bootstrap.endpointCA -}}
volumeMounts:
  {{- if $rrsa }}
  - { name: oidc, mountPath: /oidc, readOnly: true }
  {{- end }}
  {{- if $bootstrap.endpointCA }}
  - { name: eci, mountPath: /eci, readOnly: true }
  {{- end }}
{{ end -}}
resources:
  {{- toYaml $bootstrap.resources | nindent 2 }}
{{- end -}}

{{- define "vnode-profile.bootstrapEnv" -}}
{{- with .Values.bootstrap.httpsProxy }}
- { name: HTTPS_PROXY, value: {{ . | quote }} }
{{- end }}
{{- with .Values.bootstrap.noProxy }}
- { name: NO_PROXY, value: {{ . | quote }} }
{{- end }}
{{- if eq .Values.bootstrap.credentials.source "rrsa" }}
- { name: ALIBABA_CLOUD_ROLE_ARN, value: {{ .Values.bootstrap.credentials.rrsa.roleArn | quote }} }
- { name: ALIBABA_CLOUD_OIDC_PROVIDER_ARN, value: {{ .Values.bootstrap.credentials.rrsa.oidcProviderArn | quote }} }
- { name: ALIBABA_CLOUD_OIDC_TOKEN_FILE, value: /oidc/token }
{{- end }}
{{- end -}}

{{- define "vnode-profile.bootstrapVolumes" -}}
{{- $rrsa := eq .Values.bootstrap.credentials.source "rrsa" -}}
{{- if or $rrsa .Values.bootstrap.endpointCA -}}
volumes:
  {{- if $rrsa }}
  # The token that is exchanged for temporary credentials; it is of no use at the API server.
  - name: oidc
    projected:
      sources:
        - serviceAccountToken: { path: token, audience: sts.aliyuncs.com, expirationSeconds: 3600 }
  {{- end }}
  {{- if .Values.bootstrap.endpointCA }}
  - name: eci
    configMap: { name: {{ include "vnode-profile.fullname" . }}-eci-ca }
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Six characters that are no secret: which bootstrap token the release may make. As in src/core/vnode/identity.ts. */}}
{{- define "vnode-profile.bootstrapTokenSecret" -}}
bootstrap-token-{{ printf "%s/%s" .Release.Namespace (include "vnode-profile.fullname" .) | sha256sum | trunc 6 }}
{{- end -}}

{{/* Secrets of the release's namespace that vnode bootstrap reads, as a JSON list. */}}
{{- define "vnode-profile.bootstrapSecrets" -}}
{{- $bootstrap := .Values.bootstrap -}}
{{- $names := list -}}
{{- if eq $bootstrap.credentials.source "secret" -}}{{- $names = append $names $bootstrap.credentials.secretName -}}{{- end -}}
{{- if eq $bootstrap.identity.kind "kubeconfig" -}}{{- $names = append $names $bootstrap.identity.kubeconfigSecret -}}{{- end -}}
{{- toJson ($names | uniq) -}}
{{- end -}}

{{/* What of a VNode's identity outlives the release: the VNode does. */}}
{{- define "vnode-profile.keep" -}}
{{- if not .Values.bootstrap.deleteOnUninstall -}}
annotations:
  # The VNode stays when the release goes, and would be of no use without its rights.
  helm.sh/resource-policy: keep
{{- end -}}
{{- end -}}
