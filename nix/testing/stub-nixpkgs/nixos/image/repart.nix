# In place of nixpkgs' module of this path: nixos/defaults.nix has what it would set.
{ }
