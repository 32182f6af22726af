# Just enough of nixpkgs to really build images offline, over the host's tools. It proves that the
# assembly is right and gives the same bytes twice, never the PCRs of a published image.
# host.json is written by the test: system; shell and path of builders; node and teeTools, the built
# commands; env, more variables of builders; systemd, firmware, kernel and stub, files of the host; era, which nixpkgs is played:
# "image" (recent), "finalImage" (before), "other" (one whose image has another UKI).
{
  outputs =
    _:
    let
      host = builtins.fromJSON (builtins.readFile ./host.json);
      lib = import ./lib.nix;
      pkgsFor = system: import ./packages.nix { inherit host lib system; };
    in
    {
      lib = lib // {
        nixosSystem = import ./nixos.nix { inherit host lib pkgsFor; };
      };
      # Others than the host's are evaluated, never built.
      legacyPackages = builtins.listToAttrs (
        map (system: {
          name = system;
          value = pkgsFor system;
        }) lib.systems
      );
    };
}
