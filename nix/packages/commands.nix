# Single commands of tee-tools, with the programs that they run in PATH.
{
  lib,
  writeShellApplication,
  teeTools,
  stdenv,
  coreutils,
  cryptsetup,
  dosfstools,
  erofs-utils,
  mtools,
  openssl,
  qemu,
  sbsigntool,
  swtpm,
}:
let
  # Programs of Linux; on other systems what needs none of them still works.
  imageTools = lib.optionals stdenv.hostPlatform.isLinux [
    cryptsetup
    dosfstools
    erofs-utils
    mtools
    openssl
    sbsigntool
  ];
  command =
    name: runtimeInputs:
    writeShellApplication {
      inherit name runtimeInputs;
      text = ''exec ${teeTools}/bin/${name} "$@"'';
    };
in
{
  tee-attest = command "tee-attest" [ ];
  tee-kms = command "tee-kms" [ ];
  tee-ami = command "tee-ami" [ ];
  tee-image = command "tee-image" ([ coreutils ] ++ imageTools);
  # With what booting takes, which building does not.
  tee-image-boot = command "tee-image" (imageTools ++ [ qemu swtpm ]);
}
