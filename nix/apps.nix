# Apps: one name for each step from an image to an AMI. All pass their arguments on.
{
  pkgs,
  system,
  commands,
}:
let
  app =
    name: description: text:
    let
      script = pkgs.writeShellApplication { inherit name text; };
    in
    {
      type = "app";
      program = "${script}/bin/${name}";
      meta.description = description;
    };
  teeImage = "${commands.tee-image}/bin/tee-image";
in
{
  create-ami = app "create-ami" "Upload a raw image and register it as an AMI" ''
    exec ${commands.tee-ami}/bin/tee-ami create "$@"
  '';
  sign-efi-image = app "sign-efi-image" "Sign an image for Secure Boot, outside the Nix store" ''
    exec ${teeImage} sign "$@"
  '';
  compute-pcrs = app "compute-pcrs" "Predict the PCRs of a UKI" ''
    exec ${teeImage} measure "$@"
  '';
  generate-uefi-vars = app "generate-uefi-vars" "Make a Secure Boot identity and its UEFI variables" ''
    exec ${teeImage} keys "$@"
  '';
}
// (
  if system == "x86_64-linux" then
    {
      boot-uefi-qemu = app "boot-uefi-qemu" "Boot a raw image in QEMU with a software TPM" ''
        exec ${commands.tee-image-boot}/bin/tee-image boot --firmware ${pkgs.OVMFFull.fd}/FV "$@"
      '';
    }
  else
    { }
)
