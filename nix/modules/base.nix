# The layout of an Attestable AMI: a UKI on the EFI system partition, the store as erofs under
# dm-verity, everything that is written in memory.
#
# teePackages: pkgs → the packages that go into every image.
{ teePackages }:
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:
let
  # The order of the names is the order on the disk.
  partitionIds = {
    esp = "10-esp";
    store = "20-usr";
    store-verity = "30-usr-verity";
  };
  inherit (pkgs.stdenv) hostPlatform;
  policy = builtins.fromJSON (builtins.readFile ../policy/operator-access.json);

  # Login prompts and shells of systemd: masked by default.
  consoleUnits = builtins.concatMap (
    rule:
    if
      builtins.elem rule.id [
        "console-login"
        "debug-shell"
      ]
    then
      rule.units
    else
      [ ]
  ) policy.rules;

  espSize = if hostPlatform.isAarch64 then "128M" else "64M";
in
{
  imports = [ "${modulesPath}/image/repart.nix" ];

  boot.loader.grub.enable = false;
  boot.initrd.systemd.enable = true;
  # Shells that nothing asks for. emergency.service stays: panic-on-fail comes with its target, and it
  # lets nobody in while root is locked. tee-image audit reads gzip, not zstd.
  boot.initrd.systemd.suppressedUnits = [
    "debug-shell.service"
    "rescue.service"
  ];
  boot.initrd.compressor = lib.mkDefault "gzip";
  boot.kernelParams = import ./kernel-params.nix;

  system.image.id = lib.mkDefault "nixos-tee";
  system.image.version = lib.mkDefault "1";
  system.stateVersion = lib.mkDefault config.system.nixos.release;

  # Labels as in partitions.json.
  image.repart = {
    name = lib.mkDefault config.system.image.id;
    verityStore = {
      enable = true;
      # Firmware starts the UKI itself: there is no boot loader.
      ukiPath = "/EFI/BOOT/BOOT${lib.toUpper hostPlatform.efiArch}.EFI";
      inherit partitionIds;
    };
    partitions = {
      ${partitionIds.esp}.repartConfig = {
        Type = "esp";
        Format = "vfat";
        Label = "esp";
        SizeMinBytes = espSize;
        SizeMaxBytes = espSize;
      };
      ${partitionIds.store}.repartConfig = {
        Label = "usr";
        Minimize = "best";
      };
      ${partitionIds.store-verity}.repartConfig = {
        Label = "usr-verity";
        Minimize = "best";
      };
    };
  };

  fileSystems = {
    "/" = {
      device = "tmpfs";
      fsType = "tmpfs";
      options = [ "mode=0755" ];
    };
    "/usr" = {
      device = "/dev/mapper/usr";
      fsType = "erofs";
      options = [ "ro" ];
    };
    "/nix/store" = {
      device = "/usr/nix/store";
      fsType = "none";
      options = [ "bind" ];
    };
  };

  # /usr is read-only: nothing may be put there at boot.
  environment.usrbinenv = lib.mkForce null;
  system.activationScripts.usrbinenv = lib.mkForce "";

  # Nobody logs in.
  users.mutableUsers = lib.mkDefault false;
  users.allowNoPasswordLogin = lib.mkDefault true;
  users.users.root.hashedPassword = lib.mkDefault "!";
  services.openssh.enable = lib.mkDefault false;
  security.sudo.enable = lib.mkDefault false;
  security.enableWrappers = lib.mkDefault false;
  systemd.enableEmergencyMode = lib.mkDefault false;
  systemd.services = builtins.listToAttrs (
    map (unit: {
      name = lib.removeSuffix ".service" unit;
      value.enable = lib.mkDefault false;
    }) consoleUnits
  );

  # The system is what was measured: it is not built or switched on the machine.
  nix.enable = lib.mkDefault false;
  system.switch.enable = lib.mkDefault false;
  documentation.enable = lib.mkDefault false;

  environment.systemPackages = teePackages pkgs;
}
