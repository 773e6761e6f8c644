# What a pod of CQOx must be like, whatever values it was rendered from. Input: one object of a manifest.
package cqox.pods

import rego.v1

pod := input.spec.template.spec

name := sprintf("%s/%s", [input.kind, input.metadata.name])

containers contains container if some container in pod.containers

containers contains container if some container in pod.initContainers

deny contains sprintf("%s: the pod has to say runAsNonRoot", [name]) if not pod.securityContext.runAsNonRoot == true

deny contains sprintf("%s: the pod has to name a user other than root", [name]) if not named_user

named_user if pod.securityContext.runAsUser > 0

deny contains sprintf("%s: container %s runs as root", [name, container.name]) if {
	some container in containers
	container.securityContext.runAsUser == 0
}

deny contains sprintf("%s: seccomp has to be RuntimeDefault", [name]) if {
	not pod.securityContext.seccompProfile.type == "RuntimeDefault"
}

deny contains sprintf("%s: container %s can write to its root file system", [name, container.name]) if {
	some container in containers
	not container.securityContext.readOnlyRootFilesystem == true
}

deny contains sprintf("%s: container %s can gain privileges", [name, container.name]) if {
	some container in containers
	not container.securityContext.allowPrivilegeEscalation == false
}

deny contains sprintf("%s: container %s is privileged", [name, container.name]) if {
	some container in containers
	container.securityContext.privileged == true
}

deny contains sprintf("%s: container %s keeps capabilities", [name, container.name]) if {
	some container in containers
	not "ALL" in container.securityContext.capabilities.drop
}

deny contains sprintf("%s: container %s adds capabilities", [name, container.name]) if {
	some container in containers
	count(container.securityContext.capabilities.add) > 0
}

deny contains sprintf("%s: image %s is not pinned to a digest", [name, container.image]) if {
	some container in containers
	not regex.match(`^[^@]+@sha256:[0-9a-f]{64}$`, container.image)
}

deny contains sprintf("%s: container %s has no %s of %s", [name, container.name, bound, resource]) if {
	some container in containers
	some bound in ["limits", "requests"]
	some resource in ["cpu", "memory"]
	not container.resources[bound][resource]
}

deny contains sprintf("%s: the pod mounts a token of its service account", [name]) if {
	not pod.automountServiceAccountToken == false
}

deny contains sprintf("%s: the pod shares a namespace of its node", [name]) if {
	some shared in ["hostNetwork", "hostPID", "hostIPC"]
	pod[shared] == true
}

deny contains sprintf("%s: volume %s is a folder of the node", [name, volume.name]) if {
	some volume in pod.volumes
	volume.hostPath
}

deny contains sprintf("%s: volume %s has no bound", [name, volume.name]) if {
	some volume in pod.volumes
	volume.emptyDir
	not volume.emptyDir.sizeLimit
}

# A secret in a variable shows in `kubectl describe`, in crash reports and in every child process.
deny contains sprintf("%s: container %s has the secret %s in a variable", [name, container.name, variable.name]) if {
	some container in containers
	some variable in container.env
	variable.valueFrom.secretKeyRef
}
