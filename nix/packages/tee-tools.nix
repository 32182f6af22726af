# The commands of tee-tools (tee-eif, tee-image, …), from this repository's lock file.
#
# The lock file names no addresses, so that it is the same behind every mirror; Nix needs one: npm's
# public registry, or a mirror that the file nix/npm-registry names (in a clone, `git add` it: flakes
# see tracked files only), or tee-tools.override { registry = "…"; }. Every package is held against
# the hash in the lock file, wherever it comes from.
{
  lib,
  buildNpmPackage,
  importNpmLock,
  nodejs,
  registry ?
    if builtins.pathExists ../npm-registry then
      builtins.readFile ../npm-registry
    else
      "https://registry.npmjs.org",
}:

let
  root =
    if builtins.pathExists ../../package-lock.json then
      ../..
    else
      throw "tee-verify's flake needs the whole repository, not its folder nix alone: in a clone say ./nix, elsewhere git+file:…?dir=nix or github:…?dir=nix";

  # What a working copy has beside the sources.
  leftOut = map (name: "${toString root}/${name}") [
    ".git"
    "build"
    "coverage"
    "dist"
    "node_modules"
    "tools/dist"
    "tools/node_modules"
  ];
  src = builtins.path {
    path = root;
    name = "tee-verify";
    filter = path: _type: !(builtins.elem path leftOut);
  };

  lock = lib.importJSON (root + "/package-lock.json");
  # Without white space and slashes at its end.
  address = builtins.head (builtins.match "([^[:space:]]*[^/[:space:]])/*[[:space:]]*" registry);
  baseName = name: lib.last (lib.splitString "/" name);
  withAddress =
    path: entry:
    let
      name = entry.name or (lib.last (lib.splitString "node_modules/" path));
    in
    if entry ? resolved || !(entry ? integrity) then
      entry
    else
      entry
      // {
        resolved = "${address}/${name}/-/${baseName name}-${entry.version}.tgz";
      };
in
buildNpmPackage {
  pname = "tee-tools";
  version = "0.1.0";
  inherit src nodejs;

  # Reads the lock file itself: there is no hash to keep in step with it.
  npmDeps = importNpmLock {
    npmRoot = src;
    package = lib.importJSON (root + "/package.json");
    packageLock = lock // {
      packages = lib.mapAttrs withAddress lock.packages;
    };
  };
  npmConfigHook = importNpmLock.npmConfigHook;
  npmFlags = [ "--ignore-scripts" ];

  # The root package and its workspace go along: the commands import both.
  installPhase = ''
    runHook preInstall
    mkdir -p $out/lib/tee-tools $out/bin
    npm prune --omit=dev --ignore-scripts
    # The two packages of this repository: as they were built here, not as the lock file copied them.
    rm -rf node_modules/tee-verify node_modules/tee-tools
    ln -s .. node_modules/tee-verify
    ln -s ../tools node_modules/tee-tools
    cp -r package.json dist node tools node_modules $out/lib/tee-tools/
    for command in node/bin/*.js tools/*/bin/*.js; do
      name=$(basename "$command" .js)
      chmod +x "$out/lib/tee-tools/$command"
      ln -s "$out/lib/tee-tools/$command" "$out/bin/$name"
    done
    runHook postInstall
  '';

  meta = {
    description = "Producer and build-time tools for tee-verify";
    license = lib.licenses.asl20;
    mainProgram = "tee-image";
  };
}
