{
  description = "Reproducible images for AWS Nitro attestation: Attestable AMIs and enclaves";

  # The only input: anything else would have to be replaced, too, by whoever builds offline.
  # There is no flake.lock in this folder, because a true one can only be made with a network:
  # `nix flake lock` makes it. Keep it: the same lock builds the same image.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { nixpkgs, ... }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      make = names: function: builtins.listToAttrs (
        map (system: {
          name = system;
          value = function system nixpkgs.legacyPackages.${system};
        }) names
      );
      forAllSystems = make systems;
      # Images of NixOS are built on Linux, for the system that builds.
      forLinux = make [
        "x86_64-linux"
        "aarch64-linux"
      ];

      teeTools = pkgs: pkgs.callPackage ./packages/tee-tools.nix { };
      commandsOf = pkgs: pkgs.callPackage ./packages/commands.nix { teeTools = teeTools pkgs; };

      modules = {
        base = import ./modules/base.nix {
          teePackages = pkgs: [
            (commandsOf pkgs).tee-attest
            (commandsOf pkgs).tee-kms
          ];
        };
        policy = import ./modules/policy.nix;
        debug = import ./modules/debug.nix;
      };

      # Functions by the system that builds; what is built for is said by the inputs.
      eif = forAllSystems (
        system: pkgs:
        import ./lib/eif.nix {
          inherit pkgs system;
          teeTools = teeTools pkgs;
        }
      );
      images = forLinux (
        system: pkgs:
        let
          teeImage = (commandsOf pkgs).tee-image;
        in
        import ./lib/image.nix { inherit pkgs system teeImage; }
        // import ./lib/tee-image.nix {
          inherit
            nixpkgs
            pkgs
            system
            modules
            teeImage
            ;
        }
      );
    in
    {
      lib = builtins.mapAttrs (system: functions: functions // (images.${system} or { })) eif;

      nixosModules = modules // {
        # An Attestable AMI without operator access.
        default.imports = [
          modules.base
          modules.policy
        ];
      };

      packages = forAllSystems (
        _system: pkgs: rec {
          tee-tools = teeTools pkgs;
          inherit (commandsOf pkgs)
            tee-ami
            tee-attest
            tee-image
            tee-kms
            ;
          default = tee-tools;
        }
      );

      apps = forLinux (
        system: pkgs:
        import ./apps.nix {
          inherit pkgs system;
          commands = commandsOf pkgs;
        }
      );

      checks = forAllSystems (
        _system: pkgs: {
          # Evaluated here, so that a wrong policy fails before anything is built.
          policy = pkgs.runCommand "policy" { problems = import ./testing/policy.nix; } ''
            if [ -n "$problems" ]; then
              echo "$problems" >&2
              exit 1
            fi
            echo ok > $out
            exit 0
          '';
        }
      );
    };
}
