{
  description = "A web server that decrypts for its clients, with a key that only this image gets from KMS";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  # Where your clone of tee-verify is; or github:…?dir=nix.
  inputs.tee.url = "git+file:///path/to/tee-verify?dir=nix";
  inputs.tee.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { tee, ... }:
    let
      settings = builtins.fromJSON (builtins.readFile ./settings.json);
      image =
        system: isDebug:
        tee.lib.${system}.tee-image {
          inherit isDebug;
          userConfig = import ./configuration.nix {
            inherit settings;
            teeKms = tee.packages.${system}.tee-kms;
          };
        };
      packagesFor = system: {
        raw-image = image system false;
        # For a look at what does not work. Its PCRs are others: KMS gives it nothing.
        debug-image = image system true;
      };
    in
    {
      packages.x86_64-linux = packagesFor "x86_64-linux";
      packages.aarch64-linux = packagesFor "aarch64-linux";
    };
}
