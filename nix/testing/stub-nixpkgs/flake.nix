# Just enough of nixpkgs to really build images offline, over the host's tools. It proves that the
# assembly is right and gives the same bytes twice, never the PCRs of a published image.
# host.json is written by the test: {"system", "shell", "path", "node", "teeTools"}.
{
  outputs =
    _:
    let
      host = builtins.fromJSON (builtins.readFile ./host.json);

      runCommand =
        name: env: script:
        derivation (
          {
            inherit name script;
            inherit (host) system;
            builder = host.shell;
            args = [
              "-euc"
              ''eval "$script"''
            ];
            PATH = host.path;
          }
          // env
        );

      writeText = name: text: builtins.toFile name text;

      # In place of npm's work: the commands that the host has built.
      buildNpmPackage =
        { pname, ... }:
        runCommand pname { } ''
          mkdir -p $out/bin
          for command in ${host.teeTools}/*/bin/*.js; do
            name=$(basename "$command" .js)
            printf '#!%s\nexec %s %s "$@"\n' ${host.shell} ${host.node} "$command" > "$out/bin/$name"
            chmod 755 "$out/bin/$name"
          done
          exit 0
        '';

      lib = {
        escapeShellArg = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] text}'";
        licenses.asl20 = "Apache-2.0";
      };

      importNpmLock = {
        __functor = _self: _args: null;
        npmConfigHook = null;
      };

      pkgs = {
        inherit
          buildNpmPackage
          importNpmLock
          lib
          runCommand
          writeText
          ;
        nodejs_20 = null;
        callPackage =
          path: overrides:
          let
            make = import path;
          in
          make (builtins.intersectAttrs (builtins.functionArgs make) pkgs // overrides);
      };
    in
    {
      legacyPackages.${host.system} = pkgs;
    };
}
