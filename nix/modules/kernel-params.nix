# The kernel command line of our images. The UKI adds init= and the root hash.
[
  # A machine that cannot go on stops; it does not offer a shell.
  "panic=30"
  "boot.panic_on_fail"
  # A level of its own in kernels patched for it. Linux itself knows integrity and confidentiality,
  # with signed modules, which nixpkgs' kernels do not have (docs/nix.md, "Lockdown").
  "lockdown=1"
  "console=ttyS0,115200n8"
  "console=tty0"
  "random.trust_cpu=on"
  "systemd.verity=1"
  "systemd.verity_root_options=panic-on-corruption"
  # The store stands on the partition of /usr.
  "systemd.verity_usr_options=panic-on-corruption"
  "tpm_crb.force=1"
  # Only what the command line and the configuration name is mounted.
  "systemd.gpt_auto=0"
]
