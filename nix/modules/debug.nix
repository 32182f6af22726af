# Opens an image for debugging: root on every console, without a password. It says so wherever it
# can, and its measurements differ from those of the image without it.
{ config, lib, ... }:
let
  loud = ''

    ############################################################################
    #  DEBUG IMAGE: whoever reaches the console is root. No secret is safe     #
    #  here. Never put the measurements of this image into a manifest or a     #
    #  key policy.                                                             #
    ############################################################################

  '';
  open = {
    enable = true;
  };
in
{
  warnings = [ "tee-verify: this is a DEBUG image; anybody with the console is root on it." ];

  tee-verify.operatorAccess.enforce = false;
  image.repart.name = lib.mkForce "${config.system.image.id}-debug";

  services.getty.autologinUser = "root";
  systemd.services."getty@" = open;
  systemd.services."serial-getty@" = open;
  systemd.services."autovt@" = open;
  systemd.enableEmergencyMode = true;
  boot.initrd.systemd.emergencyAccess = true;
  boot.kernelParams = [ "systemd.journald.forward_to_console=1" ];

  users.motd = loud;
  services.getty.helpLine = loud;
}
