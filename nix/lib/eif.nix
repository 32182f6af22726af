# Functions that build Nitro Enclave images. Arguments as in aws-nitro-util, so that its users can
# change over; the images come from tee-eif and need no other tool.
#
# Cross-architecture by inputs: an image for aarch64 is one whose kernel, init and programs are for
# aarch64; building it takes no emulation, because nothing of them runs.
{
  pkgs,
  system,
  teeTools,
}:

let
  teeEif = "${teeTools}/bin/tee-eif";

  # `aarch64-darwin` builds for aarch64 unless told otherwise.
  hostArch = if builtins.match "aarch64-.*" system != null then "aarch64" else "x86_64";

  quote = pkgs.lib.escapeShellArg;

  # Builders end with a builtin: what an external command leaves behind would end them early.
  run =
    name: script:
    pkgs.runCommand name { } ''
      umask 022
      ${script}
      exit 0
    '';

  # Every line ends with a line feed; an empty text has no line.
  lines =
    text:
    let
      last = builtins.substring (builtins.stringLength text - 1) 1 text;
    in
    if text == "" || last == "\n" then text else "${text}\n";
in
rec {
  /*
    A ramdisk (cpio newc) of a folder: names sorted, owner 0, time 0, inode numbers counted anew.
    Hard links are stored as copies: whether a store has some depends on the machine
    (auto-optimise-store).

    name      of the derivation
    src       the folder
    compress  "gzip" (the default, by a deflate that is the same on every machine) or "none"
  */
  mkCpioArchive =
    {
      name ? "archive",
      src,
      compress ? "gzip",
    }:
    run "${name}.cpio${if compress == "gzip" then ".gz" else ""}" ''
      ${teeEif} cpio ${src} --no-hard-links --compress ${compress} --out $out
    '';

  /*
    The bootstrap ramdisk (PCR1): /init, /nsm.ko and /dev.

    init   a file, or a folder with a file named init
    nsmKo  the kernel module of the Nitro Security Module; null when the kernel has it built in
  */
  mkSysRamdisk =
    {
      name ? "bootstrap-initramfs",
      init,
      nsmKo ? null,
      compress ? "gzip",
    }:
    mkCpioArchive {
      inherit name compress;
      src = run "${name}-fs" ''
        mkdir -p $out/dev
        if [ -d ${init} ]; then cp ${init}/init $out/init; else cp ${init} $out/init; fi
        chmod 755 $out/init
        ${if nsmKo == null then "" else "cp ${nsmKo} $out/nsm.ko"}
      '';
    };

  /*
    The application ramdisk (PCR2): /cmd, /env and /rootfs.

    entrypoint  the program and its arguments, one a line; a path inside rootfs
    env         NAME=value, one a line
    rootfs      the folder that becomes the root of the application
  */
  mkUserRamdisk =
    {
      name ? "user-initramfs",
      entrypoint,
      env ? "",
      rootfs,
      compress ? "gzip",
    }:
    mkCpioArchive {
      inherit name compress;
      src = run "${name}-fs" ''
        mkdir -p $out/rootfs
        cp -R ${rootfs}/. $out/rootfs/
        chmod -R u+w $out/rootfs
        for folder in dev proc run sys tmp var; do
          [ -e $out/rootfs/$folder ] || mkdir $out/rootfs/$folder
        done
        cp ${pkgs.writeText "${name}-entrypoint" (lines entrypoint)} $out/cmd
        cp ${pkgs.writeText "${name}-env" (lines env)} $out/env
      '';
    };

  /*
    An enclave image: a folder with image.eif and pcr.json.

    ramdisks      list of ramdisks: the bootstrap first (see mkSysRamdisk and mkUserRamdisk)
    kernel        bzImage or Image
    kernelConfig  its .config, for the metadata; null to leave it out
    cmdline       command line of the kernel
    arch          "x86_64" or "aarch64": what the image is for; default that of the builder
    metadata      an attribute set for CustomMetadata
  */
  mkEif =
    {
      name ? "image",
      version ? "0.1-dev",
      ramdisks,
      kernel,
      kernelConfig ? null,
      cmdline ? "reboot=k panic=30 pci=off nomodules console=ttyS0 random.trust_cpu=on root=/dev/ram0",
      arch ? hostArch,
      metadata ? { },
    }:
    run "${name}.eif" ''
      mkdir -p $out
      ${teeEif} build \
        --kernel ${kernel} \
        ${if kernelConfig == null then "" else "--kernel-config ${kernelConfig}"} \
        --cmdline ${quote cmdline} \
        ${builtins.concatStringsSep " " (map (ramdisk: "--ramdisk ${ramdisk}") ramdisks)} \
        --arch ${arch} \
        --name ${quote name} \
        --version ${quote version} \
        --metadata ${pkgs.writeText "${name}-metadata.json" (builtins.toJSON metadata)} \
        --pcr-file $out/pcr.json \
        --out $out/image.eif
    '';

  /*
    An enclave image of a folder: mkSysRamdisk, mkUserRamdisk and mkEif in one.

    copyToRoot  the folder that becomes the root of the application
    The other arguments are theirs.
  */
  buildEif =
    {
      name ? "image",
      version ? "0.1-dev",
      kernel,
      kernelConfig ? null,
      init,
      nsmKo ? null,
      entrypoint,
      env ? "",
      copyToRoot,
      arch ? hostArch,
      compress ? "gzip",
      metadata ? { },
      ...
    }@args:
    mkEif (
      {
        inherit
          name
          version
          kernel
          kernelConfig
          arch
          metadata
          ;
        ramdisks = [
          (mkSysRamdisk { inherit init nsmKo compress; })
          (mkUserRamdisk {
            inherit entrypoint env compress;
            rootfs = copyToRoot;
          })
        ];
      }
      // (if args ? cmdline then { inherit (args) cmdline; } else { })
    );
}
