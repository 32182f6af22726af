# The policy over configurations: a good one, and one bad one for each assertion at least. Gives the
# problems as text, nothing when all is well. Needs nothing of nixpkgs:
#   nix eval --raw -f nix/testing/policy.nix
let
  policy = import ../policy/operator-access.nix;
  kernelParams = import ../modules/kernel-params.nix;

  # What the base module and NixOS make, as far as the policy looks.
  good = {
    boot = {
      inherit kernelParams;
      initrd.systemd.emergencyAccess = false;
      initrd.network.ssh.enable = false;
    };
    environment.systemPackages = [
      { pname = "tee-attest"; }
      { name = "openssh-9.9p2"; }
    ];
    fileSystems = {
      "/" = { fsType = "tmpfs"; };
      "/usr" = {
        fsType = "erofs";
        options = [ "ro" ];
      };
      "/nix/store" = {
        fsType = "none";
        options = [ "bind" ];
      };
    };
    image.repart.verityStore.enable = true;
    security = {
      enableWrappers = false;
      sudo.enable = false;
    };
    services = {
      getty.autologinUser = null;
      openssh.enable = false;
    };
    swapDevices = [ ];
    systemd = {
      enableEmergencyMode = false;
      services = {
        "getty@".enable = false;
        "serial-getty@".enable = false;
        app.serviceConfig.ExecStart = "/nix/store/x-app/bin/app --log /var/log/sshd --url https://x/login";
        "container-getty@".enable = false;
        sshd-exporter.serviceConfig.ExecStart = [ "/x/bin/sshd-exporter" ];
      };
      sockets = { };
      mounts = [ { what = "debugfs"; where = "/sys/kernel/debug"; type = "tracefs"; options = ""; } ];
    };
    users = {
      mutableUsers = false;
      users = {
        root.hashedPassword = "!";
        app = {
          hashedPassword = null;
          initialHashedPassword = "*";
        };
      };
    };
  };

  # recursiveUpdate of nixpkgs, as far as it is needed.
  merge =
    a: b:
    a
    // builtins.mapAttrs (
      name: value:
      if builtins.isAttrs value && builtins.isAttrs (a.${name} or null) then merge a.${name} value else value
    ) b;

  unit = name: { systemd.services.${name}.enable = true; };
  starts = command: { systemd.services.app.serviceConfig.ExecStart = command; };
  package = pname: { environment.systemPackages = [ { inherit pname; } ]; };
  word = text: { boot.kernelParams = kernelParams ++ [ text ]; };
  user = fields: { users.users.app = fields; };

  # name of the assertion → configurations that break it and no other one.
  bad = {
    units-ssh-server = [
      (unit "sshd")
      (unit "sshd@1")
      { systemd.sockets.sshd.enable = true; }
    ];
    units-remote-shell = [ (unit "ttyd") ];
    units-remote-management = [ (unit "salt-minion") ];
    units-cloud-init = [
      (unit "cloud-init")
      (unit "amazon-init")
    ];
    units-ssm-agent = [ (unit "amazon-ssm-agent") ];
    units-instance-connect = [ (unit "ec2-instance-connect") ];
    units-console-login = [
      (unit "getty@")
      (unit "serial-getty@ttyS0")
      { systemd.services."autovt@" = { }; }
      { systemd.units."getty@tty1.service".enable = true; }
    ];
    units-debug-shell = [ (unit "debug-shell") ];
    starts-ssh-server = [
      (starts "/nix/store/x-openssh/bin/sshd -D")
      (starts [ "" "-/x/bin/dropbear" ])
      { systemd.services.app.script = "exec /x/sbin/sshd -D\n"; }
    ];
    starts-remote-shell = [ (starts "/bin/ttyd bash") ];
    starts-remote-management = [ (starts "/x/bin/salt-minion") ];
    starts-cloud-init = [ (starts "/x/bin/cloud-init init") ];
    starts-ssm-agent = [ (starts "/x/bin/amazon-ssm-agent") ];
    starts-instance-connect = [ { systemd.services.app.preStart = "a=$(/x/libexec/y/eic_harvest_hostkeys)"; } ];
    starts-console-login = [ (starts "@/x/sbin/agetty agetty tty1") ];
    starts-debug-shell = [ (starts "/x/sbin/sulogin") ];
    packages-ssh-server = [ (package "dropbear") ];
    packages-remote-shell = [ { environment.systemPackages = [ { name = "ttyd-1.7.7"; } ]; } ];
    packages-remote-management = [ (package "salt") ];
    packages-cloud-init = [ (package "cloud-init") ];
    packages-ssm-agent = [ (package "amazon-ssm-agent") ];
    packages-instance-connect = [ (package "ec2-instance-connect") ];
    packages-sudo = [ (package "sudo") ];
    command-line-console-login = [ (word "systemd.getty_auto=1") ];
    command-line-command-line-debug = [
      (word "rd.break=pre-mount")
      (word "systemd.debug-shell")
      (word "quiet init=/bin/sh")
      (word "quiet\tsystemd.debug_shell")
      (word "\"rd.break\"")
    ];
    command-line-verity = [
      (word "systemd.verity=no")
      (word "systemd.verity_usr_options=panic-on-corruption,ignore-corruption")
    ];
    command-line-writable-root = [
      (word "rw")
      (word "rootflags=noatime,rw")
    ];
    command-line-lockdown = [
      (word "lockdown=none")
      { boot.kernelParams = builtins.filter (text: text != "lockdown=1") kernelParams; }
    ];
    openssh = [ { services.openssh.enable = true; } ];
    initrd-ssh = [ { boot.initrd.network.ssh.enable = true; } ];
    getty-autologin = [ { services.getty.autologinUser = "root"; } ];
    display-autologin = [ { services.displayManager.autoLogin.enable = true; } ];
    immutable-users = [ { users.mutableUsers = true; } ];
    plain-password = [
      (user { password = "x"; })
      (user { initialPassword = ""; })
    ];
    hashed-password = [
      (user { hashedPassword = "$6$a$b"; })
      (user { hashedPassword = ""; })
      (user { initialHashedPassword = "$y$x"; })
    ];
    password-file = [ (user { hashedPasswordFile = "/run/x"; }) ];
    authorized-keys = [
      (user { openssh.authorizedKeys.keys = [ "ssh-ed25519 A" ]; })
      (user { openssh.authorizedKeys.keyFiles = [ ./policy.nix ]; })
    ];
    initrd-emergency = [
      { boot.initrd.systemd.emergencyAccess = true; }
      { boot.initrd.systemd.emergencyAccess = "$6$a$b"; }
    ];
    emergency-mode = [ { systemd.enableEmergencyMode = true; } ];
    verity-store = [ { image.repart.verityStore.enable = false; } ];
    volatile-root = [ { fileSystems."/".fsType = "erofs"; } ];
    writable-file-systems = [
      { fileSystems."/data".fsType = "ext4"; }
      {
        fileSystems."/data" = {
          options = [ "ro" "rw" ];
        };
      }
      { fileSystems."/data" = { options = [ "noatime" ]; }; }
    ];
    writable-mounts = [
      { systemd.mounts = [ { what = "/dev/sdb"; where = "/data"; type = "ext4"; } ]; }
      { boot.initrd.systemd.mounts = [ { what = "/dev/sdb"; where = "/data"; options = "noatime"; } ]; }
    ];
    swap = [ { swapDevices = [ { device = "/dev/sdb"; } ]; } ];
    esp-mounted = [
      {
        fileSystems."/boot" = {
          fsType = "vfat";
          options = [ "ro" ];
        };
      }
    ];
    sudo = [ { security.sudo.enable = true; } ];
    sudo-rs = [ { security.sudo-rs.enable = true; } ];
    doas = [ { security.doas.enable = true; } ];
    setuid-wrappers = [ { security.enableWrappers = true; } ];
  };

  brokenBy =
    config: map (check: check.name) (builtins.filter (check: !check.assertion) (policy config));
  show = names: if names == [ ] then "none" else builtins.concatStringsSep ", " names;
  expectBroken =
    what: config: expected:
    let
      broken = brokenBy config;
    in
    if broken == expected then
      [ ]
    else
      [ "${what}: expected ${show expected}, got ${show broken}" ];

  all = map (check: check.name) (policy good);
  untested = builtins.filter (name: !(bad ? ${name})) all;
  unknown = builtins.filter (name: !(builtins.elem name all)) (builtins.attrNames bad);
  problems =
    expectBroken "the good configuration" good [ ]
    ++ builtins.concatMap (
      name: builtins.concatMap (change: expectBroken name (merge good change) [ name ]) bad.${name}
    ) (builtins.attrNames bad)
    ++ map (name: "no configuration breaks ${name}") untested
    ++ map (name: "there is no assertion ${name}") unknown;
in
builtins.concatStringsSep "\n" problems
