#!/bin/bash
# KIWI NG runs this on the build host, in the image's root tree, after it installed the boot loader:
#
#   edit_boot_install.sh <raw disk image> <root device>
#
# The UKI becomes the one program the firmware can start (EFI/BOOT/BOOTX64.EFI or BOOTAA64.EFI), and
# pcr_measurements.json beside the disk image says which PCR values that boot has.
#
# Needs jq, mtools, partx, losetup and findmnt, and nitro-tpm-pcr-compute 1.1.0 or later, or
# tee-image. With both tools, both must say the same.
set -euo pipefail

disk=${1:?usage: edit_boot_install.sh <raw disk image> <root device>}
root_device=${2:?usage: edit_boot_install.sh <raw disk image> <root device>}
measurements=$(dirname "$disk")/pcr_measurements.json

esp_type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# mtools otherwise refuses file systems whose size is no whole number of tracks.
export MTOOLS_SKIP_CHECK=1

main() {
  # A result of an earlier build must not outlive a failed one.
  rm -f "$measurements"
  open_esp
  find_uki
  make_uki_the_only_program
  measure_uki
  close_esp
  mv "$scratch/measurements.json" "$measurements"
  echo "edit_boot_install.sh: $boot_file measured into $measurements"
}

fail() {
  echo "edit_boot_install.sh: $*" >&2
  exit 1
}

# Sets $esp to a directory with the ESP's files. KIWI has the ESP mounted or not, by version. A
# mounted one is edited in place: writing to the disk below it would be lost at unmounting.
open_esp() {
  local partitions number start device mounted
  [ -f "$disk" ] || fail "there is no disk image $disk"
  partitions=$(partx --raw --noheadings --output NR,START,TYPE "$disk" | grep -i " $esp_type\$") ||
    fail "no EFI system partition in $disk"
  [ "$(wc -l <<< "$partitions")" -eq 1 ] || fail "more than one EFI system partition in $disk"
  read -r number start _ <<< "$partitions"

  esp_image=$disk@@$((start * 512))
  for device in $(devices_of_partition "$number"); do
    [ -b "$device" ] || continue
    esp_image=$device
    mounted=$(findmnt --noheadings --first-only --output TARGET --source "$device" || true)
    if [ -n "$mounted" ]; then
      esp=$mounted
      esp_image=
      return
    fi
  done
  esp=$scratch/esp
  mkdir "$esp"
  mcopy -s -n -i "$esp_image" '::/*' "$esp/" || fail "cannot read the EFI system partition of $disk"
}

# The loop device's partition, named after the root device or after the disk image's loop device.
devices_of_partition() {
  local loop
  if [[ $root_device =~ ^(.*[0-9]p)[0-9]+$ ]]; then echo "${BASH_REMATCH[1]}$1"; fi
  for loop in $(losetup --noheadings --output NAME --associated "$disk"); do
    echo "${loop}p$1" "/dev/mapper/${loop##*/}p$1"
  done
}

# FAT ignores case, a directory of a copy does not.
esp_files() {
  find "$esp" -type f "$@"
}

find_uki() {
  local ukis
  mapfile -t ukis < <(esp_files -ipath "$esp/EFI/Linux/*.efi")
  case ${#ukis[@]} in
    1) uki=${ukis[0]} ;;
    0) fail 'no UKI in EFI/Linux: dracut built none (is <dracut uefi="true"/> set?)' ;;
    *) fail "${#ukis[@]} UKIs in EFI/Linux, but one image boots one: ${ukis[*]#"$esp"/}" ;;
  esac

  local pe
  if [ "$(text_at 0 2)" != MZ ] || ! pe=$(number_at 60 4) || [ "$(text_at "$pe" 2)" != PE ]; then
    fail "${uki#"$esp"/} is not a PE file"
  fi
  case $(number_at $((pe + 4)) 2) in
    34404) boot_file=EFI/BOOT/BOOTX64.EFI ;; # IMAGE_FILE_MACHINE_AMD64
    43620) boot_file=EFI/BOOT/BOOTAA64.EFI ;; # IMAGE_FILE_MACHINE_ARM64
    *) fail "${uki#"$esp"/} is for neither x86_64 nor aarch64" ;;
  esac
  has_kernel "$pe" || fail "${uki#"$esp"/} has no .linux section: it is not a UKI"
}

number_at() {
  od --address-radix=n --skip-bytes="$1" --read-bytes="$2" --format="u$2" --endian=little "$uki" | tr -d ' \n'
}

text_at() {
  tail -c "+$(($1 + 1))" "$uki" | head -c "$2" | tr -d '\0'
}

has_kernel() {
  local pe=$1 sections header table index
  sections=$(number_at $((pe + 6)) 2)
  header=$(number_at $((pe + 20)) 2)
  table=$((pe + 24 + header))
  for ((index = 0; index < sections; index++)); do
    if [ "$(text_at $((table + index * 40)) 8)" = .linux ]; then return 0; fi
  done
  return 1
}

make_uki_the_only_program() {
  local others
  mv "$uki" "$scratch/uki.efi"
  find "$esp" -mindepth 1 -depth \( -ipath "$esp/EFI/Linux*" -o -ipath "$esp/EFI/systemd*" \
    -o -ipath "$esp/EFI/BOOT*" -o -ipath "$esp/loader*" -o -ipath "$esp/os" -o -ipath "$esp/os/*" \) -delete

  # Whatever else could be started would be a second way to boot.
  others=$(esp_files -printf '%P\n' | while read -r name; do
    if [ "$(head -c 2 "$esp/$name" | tr -d '\0')" = MZ ] || [[ ${name,,} == *.efi ]]; then echo "$name"; fi
  done)
  [ -z "$others" ] || fail "other programs on the EFI system partition: $others"

  mkdir -p "$esp/EFI/BOOT"
  cp "$scratch/uki.efi" "$esp/$boot_file"
}

measure_uki() {
  local nitro tee_image
  nitro=$(command -v nitro-tpm-pcr-compute || command -v ./usr/bin/nitro-tpm-pcr-compute || true)
  tee_image=$(command -v tee-image || true)
  [ -n "$nitro$tee_image" ] || fail 'neither nitro-tpm-pcr-compute nor tee-image is installed'

  if [ -n "$tee_image" ]; then
    "$tee_image" measure "$scratch/uki.efi" --format aws > "$scratch/tee-image.json" || fail 'tee-image measure failed'
    check_measurements tee-image "$scratch/tee-image.json"
    cp "$scratch/tee-image.json" "$scratch/measurements.json"
  fi
  if [ -n "$nitro" ]; then
    "$nitro" --image "$scratch/uki.efi" > "$scratch/nitro.json" || fail 'nitro-tpm-pcr-compute failed'
    check_measurements nitro-tpm-pcr-compute "$scratch/nitro.json"
    cp "$scratch/nitro.json" "$scratch/measurements.json"
  fi
  if [ -n "$nitro" ] && [ -n "$tee_image" ]; then
    [ "$(pcrs "$scratch/nitro.json")" = "$(pcrs "$scratch/tee-image.json")" ] ||
      fail "nitro-tpm-pcr-compute and tee-image disagree: $(pcrs "$scratch/nitro.json") against $(pcrs "$scratch/tee-image.json")"
  fi
}

pcrs() {
  jq --compact-output '.Measurements | [.PCR4, .PCR7, .PCR12]' "$1"
}

# PCR12 is zero unless something outside the UKI changed the boot, which nothing may.
check_measurements() {
  jq --exit-status '.Measurements
    | (.HashAlgorithm | startswith("SHA384"))
      and ([.PCR4, .PCR7, .PCR12] | all(test("^[0-9a-f]{96}$")))
      and (.PCR4 | test("[1-9a-f]")) and (.PCR12 | test("^0+$"))' "$2" > "$scratch/verdict" 2>&1 ||
    fail "$1 did not give SHA-384 values for PCR4, PCR7 and PCR12 (version 1.1.0 or later is needed): $(cat "$2")"
}

close_esp() {
  if [ -z "$esp_image" ]; then
    sync --file-system "$esp"
    cmp "$scratch/uki.efi" "$esp/$boot_file" || fail 'the UKI on the disk is not the measured one'
    return
  fi
  mdir -b -i "$esp_image" ::/ | sed 's#^::/##; s#/$##' > "$scratch/before"
  while read -r name; do
    mdeltree -i "$esp_image" "::/$name" 2> "$scratch/not-a-directory" || mdel -i "$esp_image" "::/$name"
  done < "$scratch/before"
  mcopy -s -i "$esp_image" "$esp"/* ::/ || fail 'cannot write the EFI system partition'
  mcopy -n -i "$esp_image" "::/$boot_file" "$scratch/read-back.efi"
  cmp "$scratch/uki.efi" "$scratch/read-back.efi" || fail 'the UKI on the disk is not the measured one'
}

main
