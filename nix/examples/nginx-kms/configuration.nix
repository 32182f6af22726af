# nginx decrypts what clients send, with a key that KMS gives to this image only.
{ settings, teeKms }:
{ pkgs, ... }:
let
  # A fixed number: the firewall names it.
  uid = 401;
  keyFile = "/run/payload-key/key";
  # Readable by nginx only; see LoadCredential below.
  credential = "/run/credentials/nginx.service/payload-key";
in
{
  system.image.id = "nginx-kms";

  # 1. The key: asked for once, with an attestation of this machine.
  users.users.payload-key = {
    inherit uid;
    isSystemUser = true;
    group = "payload-key";
  };
  users.groups.payload-key = { };
  security.tpm2.enable = true; # the group tss may use /dev/tpmrm0

  systemd.services.payload-key = {
    description = "Get the payload key from KMS by attestation";
    wants = [ "network-online.target" ];
    after = [ "network-online.target" ];
    environment.AWS_REGION = settings.region;
    # A role's policy takes some seconds to be known everywhere; a refusal stays one.
    startLimitIntervalSec = 0;
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      Restart = "on-failure";
      # nginx waits meanwhile, instead of failing with it.
      RestartMode = "direct";
      RestartSec = "10s";
      ExecStart = "${teeKms}/bin/tee-kms decrypt --key-id ${settings.keyId} --ciphertext @${./secrets/payload-key.enc} --out ${keyFile}";
      User = "payload-key";
      Group = "payload-key";
      SupplementaryGroups = [ "tss" ];
      RuntimeDirectory = "payload-key";
      RuntimeDirectoryMode = "0700";
      UMask = "0077";

      # What the program does not need. No MemoryDenyWriteExecute: Node compiles at run time.
      CapabilityBoundingSet = "";
      NoNewPrivileges = true;
      DevicePolicy = "closed";
      DeviceAllow = [ "/dev/tpmrm0 rw" ];
      LimitCORE = 0;
      LockPersonality = true;
      PrivateTmp = true;
      ProtectClock = true;
      ProtectControlGroups = true;
      ProtectHome = true;
      ProtectHostname = true;
      ProtectKernelLogs = true;
      ProtectKernelModules = true;
      ProtectKernelTunables = true;
      ProtectProc = "invisible";
      ProtectSystem = "strict";
      RestrictAddressFamilies = [
        "AF_INET"
        "AF_INET6"
        "AF_UNIX"
      ];
      RestrictNamespaces = true;
      RestrictRealtime = true;
      RestrictSUIDSGID = true;
      SystemCallArchitectures = "native";
      SystemCallFilter = [ "@system-service" ];
    };
  };

  # 2. The server: gets a copy of the key that no other service can read.
  systemd.services.nginx = {
    requires = [ "payload-key.service" ];
    after = [ "payload-key.service" ];
    serviceConfig.LoadCredential = [ "payload-key:${keyFile}" ];
  };
  services.nginx = {
    enable = true;
    additionalModules = [ pkgs.nginxModules.njs ];
    commonHttpConfig = ''
      js_import decrypt from ${./decrypt.js};
    '';
    virtualHosts.default = {
      default = true;
      listen = [
        {
          addr = "0.0.0.0";
          inherit (settings) port;
        }
      ];
      locations."= /decrypt".extraConfig = ''
        set $key_file ${credential};
        client_max_body_size 64k;
        client_body_buffer_size 64k;
        js_content decrypt.handle;
      '';
    };
  };

  # 3. The network: credentials of the instance's role are for the one unit that needs them.
  networking.nftables.enable = true;
  networking.nftables.tables.imds = {
    family = "inet";
    content = ''
      chain output {
        type filter hook output priority 0; policy accept;
        meta skuid ${toString uid} accept
        # Also packets that have no user.
        ip daddr 169.254.169.254 reject
        ip6 daddr fd00:ec2::254 reject
      }
    '';
  };
  networking.firewall.allowedTCPPorts = [ settings.port ];
}
