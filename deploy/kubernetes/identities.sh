#!/bin/sh
# Copies the identities that the registry has made in its volume into one Secret each, so that each service
# gets its own and no other. Run it once, as soon as the registry is ready, and again if a Secret was lost or
# its identity has ended. It needs kubectl and the rights to exec and to write Secrets in the namespace.
#
#   deploy/kubernetes/identities.sh [NAMESPACE]
set -eu
umask 077
namespace=${1:-concert}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for identity in service/smtp service/pop service/imap operator/admin; do
  secret=concert-identity-${identity##*/}
  folder=$scratch/$secret
  mkdir "$folder"
  for file in cert.pem key.pem ca.pem; do
    kubectl --namespace "$namespace" exec statefulset/cert-registry --container cert-registry -- \
      cat "/data/identities/$identity/$file" >"$folder/$file"
  done
  kubectl --namespace "$namespace" create secret generic "$secret" --from-file="$folder" \
    --dry-run=client --output=yaml >"$folder.yaml"
  # on the server's side: a client's apply would keep a copy of the key in an annotation
  kubectl --namespace "$namespace" apply --server-side --force-conflicts --field-manager=concert \
    --filename="$folder.yaml"
done
