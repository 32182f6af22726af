#!/usr/bin/env bash
# Installs the Debian packages of scripts/system-packages.txt that are missing: the tests of
# `npm run test:system` compare our tools with Debian's own. Without apt-get or the right to
# use it, it names what is missing; in CI (CI is set) that is a failure.
set -euo pipefail
list="${1:-$(dirname "$0")/system-packages.txt}"

missing=()
if [ -f "$list" ]; then
  while read -r package; do
    dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
      missing+=("$package")
  done < <(sed 's/#.*//' "$list" | tr -d ' \t\r' | grep -v '^$' | sort -u)
fi
if [ "${#missing[@]}" -eq 0 ]; then
  echo "system packages: all installed"
  exit 0
fi
echo "system packages missing: ${missing[*]}"

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
install() {
  command -v apt-get >/dev/null || return 1
  local run=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
  "${run[@]}" update </dev/null &&
    "${run[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null
}
if install; then
  echo "system packages: installed ${#missing[@]}"
elif [ -n "${CI:-}" ]; then
  echo "system packages: could not install ${missing[*]}; in CI that is a failure" >&2
  exit 1
else
  echo "SKIPPED: could not install ${missing[*]}; tests that need them skip and say so" >&2
fi
