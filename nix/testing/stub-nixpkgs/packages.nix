# Packages over the programs of the host.
{
  host,
  lib,
  system,
}:
let
  runCommand =
    name: env: script:
    let
      tools = env.nativeBuildInputs or [ ];
      drv = derivation (
        {
          inherit name script system;
          builder = host.shell;
          args = [
            "-euc"
            ''eval "$script"''
          ];
          PATH = builtins.concatStringsSep ":" (map (tool: "${tool}/bin") tools ++ [ host.path ]);
        }
        // (host.env or { })
        // removeAttrs env [
          "nativeBuildInputs"
          "passthru"
        ]
      );
    in
    drv // (env.passthru or { });

  # A package with these programs of the host.
  hostPackage =
    name: programs:
    runCommand name { } ''
      mkdir -p $out/bin
      for program in ${builtins.concatStringsSep " " programs}; do
        for folder in /usr/local/bin /usr/bin /bin /usr/sbin /sbin; do
          [ -e "$folder/$program" ] && [ ! -e "$out/bin/$program" ] && ln -s "$folder/$program" "$out/bin/$program"
        done
      done
      exit 0
    '';

  # In place of npm's work: the commands that the host has built.
  buildNpmPackage =
    {
      pname,
      src,
      npmDeps,
      ...
    }:
    assert npmDeps;
    runCommand pname { } ''
      test -f ${src}/package.json
      mkdir -p $out/bin
      for command in ${host.teeTools}/*/bin/*.js; do
        name=$(basename "$command" .js)
        printf '#!%s\nexec %s %s "$@"\n' ${host.shell} ${host.node} "$command" > "$out/bin/$name"
        chmod 755 "$out/bin/$name"
      done
      exit 0
    '';

  pkgs = {
    inherit
      buildNpmPackage
      lib
      runCommand
      system
      ;
    writeShellApplication =
      {
        name,
        text,
        runtimeInputs ? [ ],
      }:
      let
        # Through a file: the text may hold anything.
        body = builtins.toFile "${name}-text" (
          builtins.unsafeDiscardStringContext ''
            #!${host.shell}
            set -o errexit -o nounset -o pipefail
            export PATH="${lib.makeBinPath runtimeInputs}:$PATH"
            ${text}
          ''
        );
      in
      runCommand name { inputs = runtimeInputs ++ [ text ]; } ''
        mkdir -p $out/bin
        cp ${body} $out/bin/${name}
        chmod 755 $out/bin/${name}
        exit 0
      '';
    writeText = name: text: builtins.toFile name text;
    importNpmLock = {
      # What would be fetched: each entry needs an address or a folder.
      __functor =
        _self: args:
        builtins.all (
          entry: if entry ? integrity then builtins.match "[a-z]+://.*" entry.resolved != null else true
        ) (builtins.attrValues args.packageLock.packages);
      npmConfigHook = null;
    };
    nodejs = null;
    nginxModules.njs = null;
    stdenv.hostPlatform = {
      inherit system;
      isLinux = builtins.match ".*-linux" system != null;
      isAarch64 = builtins.match "aarch64-.*" system != null;
      efiArch = if builtins.match "aarch64-.*" system != null then "aa64" else "x64";
    };
    # Its stub stands at the same place as Debian's.
    systemd = host.systemd;
    OVMFFull.fd = host.firmware;

    coreutils = hostPackage "coreutils" [ "cp" "mkdir" ];
    cryptsetup = hostPackage "cryptsetup" [ "veritysetup" ];
    dosfstools = hostPackage "dosfstools" [ "mkfs.vfat" ];
    erofs-utils = hostPackage "erofs-utils" [ "mkfs.erofs" ];
    mtools = hostPackage "mtools" [ "mcopy" "mmd" ];
    openssl = hostPackage "openssl" [ "openssl" ];
    qemu = hostPackage "qemu" [ "qemu-system-x86_64" ];
    sbsigntool = hostPackage "sbsigntool" [ "sbsign" "sbverify" ];
    swtpm = hostPackage "swtpm" [ "swtpm" ];

    callPackage =
      path: overrides:
      let
        make = import path;
        call = more: make (builtins.intersectAttrs (builtins.functionArgs make) pkgs // overrides // more);
        result = call { };
      in
      result // { override = call; };
  };
in
pkgs
