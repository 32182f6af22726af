# Attestable AMIs of any kernel, initrd and root: `tee-image build` as a derivation.
{
  pkgs,
  system,
  teeImage,
}:
let
  hostArch = if builtins.match "aarch64-.*" system != null then "aarch64" else "x86_64";
  quote = pkgs.lib.escapeShellArg;
in
{
  /*
    A folder with <name>_<version>.raw, unsigned.efi, partitions.json, manifest.json and tpm_pcr.json.

    kernel          file
    initrd          file, or a list of files
    root            a folder or a tar archive; a folder of the store has neither setuid bits nor
                    owners: those need an archive
    cmdline         of the kernel; the root hash is added
    mount           "root", or "usr" when root holds only /usr
    arch            "x86_64" or "aarch64": what the image is for; default that of the builder
    stub            systemd's UKI stub; null for that of this nixpkgs' systemd
    osRelease       the os-release file of the UKI; null for that of the root
    extraArgs       more arguments of tee-image build, as a list
  */
  buildImage =
    {
      name ? "image",
      version ? "1",
      kernel,
      initrd,
      root,
      cmdline,
      mount ? "root",
      arch ? hostArch,
      stub ? null,
      osRelease ? null,
      extraArgs ? [ ],
    }:
    let
      initrds = if builtins.isList initrd then initrd else [ initrd ];
      efiArch = if arch == "aarch64" then "aa64" else "x64";
      chosenStub =
        if stub == null then "${pkgs.systemd}/lib/systemd/boot/efi/linux${efiArch}.efi.stub" else stub;
    in
    pkgs.runCommand "${name}_${version}" { nativeBuildInputs = [ teeImage ]; } ''
      umask 022
      tee-image build \
        --kernel ${kernel} \
        ${builtins.concatStringsSep " " (map (file: "--initrd ${file}") initrds)} \
        --root ${root} \
        --cmdline ${quote cmdline} \
        --stub ${chosenStub} \
        ${if osRelease == null then "" else "--os-release ${osRelease}"} \
        --arch ${arch} \
        --mount ${mount} \
        --name ${quote name} \
        --version ${quote version} \
        ${builtins.concatStringsSep " " (map quote extraArgs)} \
        --out image
      mv image $out
      exit 0
    '';
}
