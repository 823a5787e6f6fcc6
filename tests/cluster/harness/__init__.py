"""The cluster harness: a kind cluster on a machine that may have no container registry."""
