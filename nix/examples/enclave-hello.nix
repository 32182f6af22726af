# An enclave that runs GNU hello. Kernel, its configuration, init and nsm.ko are yours to choose:
# AWS's (from aws-nitro-enclaves-cli, folder blobs) or built from source.
# In a flake: import ./enclave-hello.nix { nitro = inputs.tee.lib.x86_64-linux; … }
{
  nitro,
  pkgs,
  kernel,
  kernelConfig,
  init,
  nsmKo,
}:

nitro.buildEif {
  name = "eif-hello-world";
  version = "1.0";
  inherit
    kernel
    kernelConfig
    init
    nsmKo
    ;
  arch = "x86_64";
  entrypoint = "/bin/hello";
  env = "";
  copyToRoot = pkgs.buildEnv {
    name = "image-root";
    paths = [ pkgs.hello ];
    pathsToLink = [ "/bin" ];
  };
}
