{
  description = "Reproducible images for AWS Nitro attestation";

  # The only input: anything else would have to be replaced, too, by whoever builds offline.
  # There is no flake.lock in this folder; `nix flake lock` makes one.
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
      forAllSystems =
        make:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = make system nixpkgs.legacyPackages.${system};
          }) systems
        );
      teeTools = pkgs: pkgs.callPackage ./packages/tee-tools.nix { };
    in
    {
      # Functions by the system that builds; what is built for is said by the inputs.
      lib = forAllSystems (
        system: pkgs:
        import ./lib/eif.nix {
          inherit pkgs system;
          teeTools = teeTools pkgs;
        }
      );

      packages = forAllSystems (
        _system: pkgs: rec {
          tee-tools = teeTools pkgs;
          default = tee-tools;
        }
      );
    };
}
