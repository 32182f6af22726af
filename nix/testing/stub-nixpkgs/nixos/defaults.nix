# What NixOS sets by itself, as far as our modules look at it; its systems consist of the host's
# kernel, and of a store with one file.
{ host }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (config.image.repart) name;
  version = config.system.image.version;
  baseName = "${name}_${version}";

  # A store that changes with the configuration.
  root = pkgs.runCommand "toplevel" { } ''
    mkdir -p $out/etc $out/usr/lib
    cp ${
      builtins.toFile "config.json" (
        builtins.unsafeDiscardStringContext (
          builtins.toJSON {
            inherit (config.systemd) services;
            inherit (config.users) motd;
            inherit (config) assets;
          }
        )
      )
    } $out/etc/config.json
    printf 'ID=nixos\n' > $out/usr/lib/os-release
    exit 0
  '';
  imageOf =
    cmdline:
    pkgs.runCommand "repart" { } ''
      PATH=$PATH:/usr/bin
      ${host.node} ${host.teeTools}/image/bin/tee-image.js build --kernel ${host.kernel} --initrd ${host.kernel} --root ${root} \
        --cmdline ${lib.escapeShellArg cmdline} --stub ${host.stub} \
        --name ${name} --version ${version} --out image
      mv image $out
      exit 0
    '';
  cmdline = builtins.concatStringsSep " " ([ "init=${root}/init" ] ++ config.boot.kernelParams);
  withUki = imageOf cmdline;
  withoutUki = imageOf "${cmdline} other";
in
{
  assertions = [ ];
  warnings = [ ];
  assets = lib.mkDefault "";
  boot.kernelParams = [ "loglevel=4" ];
  boot.initrd.systemd.emergencyAccess = lib.mkOptionDefault false;
  environment.systemPackages = [ ];
  image = {
    repart = {
      verityStore = { };
    }
    // (if host.era == "finalImage" then { imageFileBasename = baseName; } else { image = withoutUki; });
  }
  // (if host.era == "finalImage" then { } else { inherit baseName; });
  security.sudo.enable = lib.mkOptionDefault true;
  security.enableWrappers = lib.mkOptionDefault true;
  services.getty.autologinUser = lib.mkOptionDefault null;
  services.openssh.enable = lib.mkOptionDefault false;
  swapDevices = [ ];
  system.nixos.release = "25.11";
  system.boot.loader.ukiFile = "unsigned.efi";
  system.build = {
    uki = withUki;
  }
  // (
    if host.era == "finalImage" then
      {
        image = withoutUki;
        finalImage = withUki;
      }
    else
      { image = if host.era == "image" then withUki else withoutUki; }
  );
  systemd.enableEmergencyMode = lib.mkOptionDefault true;
  # Enabled unless somebody says otherwise, as all units are.
  systemd.services = {
    "getty@".enable = lib.mkOptionDefault true;
    "serial-getty@".enable = lib.mkOptionDefault true;
    "autovt@".enable = lib.mkOptionDefault true;
  };
  users.motd = lib.mkOptionDefault "";
  users.mutableUsers = lib.mkOptionDefault true;
}
