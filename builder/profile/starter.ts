// The profile that `init` writes. What stands behind a bare `#` are keys to uncomment; a test does so.

/** Name of the schema file beside a profile. */
export const schemaFile = 'edgekiln.schema.json';

/** A commented profile of three devices; `site` is a DNS label. */
export function starterProfile(site: string): string {
  return `# yaml-language-server: $schema=./${schemaFile}
# A site: one network, one k3s cluster. Check it with: edgekiln validate FILE
apiVersion: edgekiln/v1
site:
  name: ${site}

# The board of every device; a device may name its own.
board: qemu-x86_64

# The operating system. Debian 13, with packages beside those that are always there.
base:
  debian:
    suite: trixie
    packages: [curl]

# The k3s to install, pinned by digest when it is first fetched.
k3s:
  release: v1.36.4+k3s1

# In order of their places: new ones go to the end. From three on, the control plane survives the loss of one.
devices:
  - name: counter
  - name: kitchen
  - name: office
    # Devices that fail together (one switch, one socket strip) share a failure domain.
#    failureDomain: upstairs

# People who may log in, by ssh key. Without users nobody can.
#users:
#  - name: admin
#    sudo: true
#    sshKeys:
#      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDqK7sZ3m0Xe2kqzTzmjVc5CLa0Q3m9k4V9mQhVg3xYt admin@example

# The device as people meet it.
#system:
#  hostname: "{site}-{device}"
#  timezone: Europe/Berlin
#  locale: C.UTF-8

# Who starts the cluster: first-online, majority, or designated with a founder.
#formation:
#  policy: designated
#  founder: counter

# Address ranges; none may overlap another, nor the network of the shop.
#network:
#  podCidr: 10.42.0.0/16
#  serviceCidr: 10.43.0.0/16

# What leaves the build.
outputs: [image]
`;
}
