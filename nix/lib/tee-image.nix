# Attestable AMIs of NixOS configurations.
{
  nixpkgs,
  pkgs,
  system,
  modules,
  teeImage,
}:
{
  /*
    A folder with <name>_<version>.raw, unsigned.efi, partitions.json, manifest.json and tpm_pcr.json
    (PCR4 and PCR12; PCR7 comes with signing). The names are system.image.id and
    system.image.version: nixos-tee and 1 unless set.

    userConfig  a NixOS module
    isDebug     opens the image for debugging; its name ends in -debug and its PCRs differ
  */
  tee-image =
    {
      userConfig,
      isDebug ? false,
    }:
    let
      machine = nixpkgs.lib.nixosSystem {
        modules = [
          { nixpkgs.hostPlatform = nixpkgs.lib.mkDefault system; }
          modules.base
          modules.policy
          userConfig
        ]
        ++ (if isDebug then [ modules.debug ] else [ ]);
      };
      inherit (machine) config;
      inherit (config.system) build;

      # Recent nixpkgs: `image` has the UKI. Before: that was `finalImage`, and `image` had none.
      # Whichever it is, the builder below looks for the UKI in it.
      raw = if config.image.repart ? image then build.image else build.finalImage;
      baseName = config.image.baseName or config.image.repart.imageFileBasename;
      uki = "${build.uki}/${config.system.boot.loader.ukiFile}";
      version = config.system.image.version;

      # Said by assertions already; but a configuration may turn those off, or import the module debug.
      cfg = config.tee-verify.operatorAccess;
      refused = builtins.filter (check: !check.assertion && !(builtins.elem check.id cfg.allow)) (
        import ../policy/operator-access.nix config
      );
      orRefuse =
        image:
        if isDebug then
          image
        else if !cfg.enforce then
          throw "tee-verify.operatorAccess.enforce is off, and isDebug is not set: say isDebug = true for an image that lets in, or tee-verify.operatorAccess.allow for a rule"
        else if refused != [ ] then
          throw (builtins.concatStringsSep "\n" (map (check: check.message) refused))
        else
          image;
    in
    orRefuse (pkgs.runCommand baseName
      {
        nativeBuildInputs = [ teeImage ];
        # For those who want to look: nix repl, or nix eval.
        passthru = {
          inherit config raw uki;
        };
      }
      ''
        umask 022
        mkdir -p $out
        ln -s ${raw}/${baseName}.raw $out/${baseName}.raw
        tee-image describe $out/${baseName}.raw --out $out/partitions.json --uki $out/unsigned.efi
        if ! cmp $out/unsigned.efi ${uki}; then
          echo "the EFI system partition does not hold the UKI of this system" >&2
          exit 1
        fi
        tee-image measure $out/unsigned.efi \
          --name ${pkgs.lib.escapeShellArg config.image.repart.name} \
          --image-version ${pkgs.lib.escapeShellArg (toString version)} \
          --out $out/manifest.json
        tee-image measure $out/unsigned.efi --format aws --pcrs 4,12 --out $out/tpm_pcr.json
        exit 0
      '');
}
