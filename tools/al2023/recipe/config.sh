#!/bin/bash
# KIWI NG runs this inside the finished root tree. It takes away every way to log in, then looks
# for anything that is left and fails the build if something is: an image with a way in attests
# just as well as one without, so nobody would notice later.
#
# IMAGE_ROOT names another tree than /, for trying it out.
set -euo pipefail

root=${IMAGE_ROOT:-/}
root=${root%/}

packages=(
  amazon-ssm-agent cloud-init cloud-init-cfg-ec2
  ec2-instance-connect ec2-instance-connect-selinux openssh-server
)
programs=(
  /usr/sbin/sshd /usr/bin/amazon-ssm-agent /usr/bin/cloud-init
  /opt/aws/bin/eic_run_authorized_keys
)
# debug-shell, rescue and emergency give a root shell on the console.
units=(
  getty@.service serial-getty@.service console-getty.service container-getty@.service
  autovt@.service debug-shell.service rescue.service emergency.service
  sshd.service sshd.socket sshd@.service sshd-keygen@.service
  amazon-ssm-agent.service ec2-instance-connect.service
  cloud-init.service cloud-init-local.service cloud-config.service cloud-final.service
)

main() {
  remove_packages
  mask_units
  lock_accounts
  remove_keys
  give_each_instance_its_identity
  check_nothing_is_left
}

installed() {
  rpm --root "${root:-/}" --query --quiet "$1"
}

remove_packages() {
  local package
  for package in "${packages[@]}"; do
    if installed "$package"; then rpm --root "${root:-/}" --erase --nodeps "$package"; fi
  done
}

mask_units() {
  local unit
  for unit in "${units[@]}"; do
    rm -rf "$root/etc/systemd/system/$unit" "$root/etc/systemd/system/$unit.d"
    systemctl --root="${root:-/}" mask "$unit"
  done
  wanted_units -delete
}

# Links that would start one of the units, also as an instance such as getty@tty1.service.
wanted_units() {
  local unit names=()
  for unit in "${units[@]}"; do names+=(-o -name "${unit/@./@*.}"); done
  find "$root/etc/systemd/system" "$root/usr/lib/systemd/system" -mindepth 2 \
    \( -path '*.wants/*' -o -path '*.requires/*' \) \( -false "${names[@]}" \) "$@"
}

lock_accounts() {
  # "!*" matches no password and marks the account as locked.
  sed -i -E 's/^([^:]+):[^:]*:/\1:!*:/' "$root/etc/shadow"
  # No shell at all would mean /bin/sh.
  sed -i -E 's#:([^:]*sh)?$#:/sbin/nologin#' "$root/etc/passwd"
}

remove_keys() {
  rm -rf "$root/root/.ssh" "$root"/home/*/.ssh "$root"/etc/ssh/ssh_host_*
}

give_each_instance_its_identity() {
  # Empty, so that each boot makes its own instead of all instances sharing the build's.
  : > "$root/etc/machine-id"
  # cloud-init would have set the host name.
  if [ -e "$root/usr/lib/systemd/system/set-hostname-imds.service" ]; then
    systemctl --root="${root:-/}" enable set-hostname-imds.service
  fi
}

check_nothing_is_left() {
  local found
  found=$(list_what_is_left)
  if [ -n "$found" ]; then
    printf 'config.sh: a way to log in is left:\n%s\n' "$found" >&2
    exit 1
  fi
  echo 'config.sh: no way to log in is left'
}

list_what_is_left() {
  local name
  for name in "${packages[@]}"; do
    if installed "$name"; then echo "  package $name is installed"; fi
  done
  for name in "${programs[@]}"; do
    if [ -e "$root$name" ]; then echo "  program $name exists"; fi
  done
  for name in "${units[@]}"; do
    if [ "$(readlink "$root/etc/systemd/system/$name")" != /dev/null ]; then
      echo "  unit $name is not masked"
    fi
  done
  wanted_units -printf '  unit %f is wanted by %h\n'
  awk -F: '$2 !~ /^[!*]/ { print "  account " $1 " has a password" }' "$root/etc/shadow"
  awk -F: '$7 == "" || $7 ~ /sh$/ { print "  account " $1 " has the shell " $7 }' "$root/etc/passwd"
  find "$root/root" "$root/home" -name authorized_keys -printf '  key file %p\n' 2>/dev/null || true
}

main
