# The commands of tee-tools (tee-eif, tee-image, …), from this repository's lock file.
{
  lib,
  buildNpmPackage,
  importNpmLock,
  nodejs_20,
}:

buildNpmPackage {
  pname = "tee-tools";
  version = "0.1.0";
  src = ../..;
  nodejs = nodejs_20;

  # Reads package-lock.json itself: there is no hash to keep in step with it.
  npmDeps = importNpmLock { npmRoot = ../..; };
  npmConfigHook = importNpmLock.npmConfigHook;
  npmFlags = [ "--ignore-scripts" ];

  # The root package and its workspace go along: the commands import both.
  installPhase = ''
    runHook preInstall
    mkdir -p $out/lib/tee-tools $out/bin
    npm prune --omit=dev --ignore-scripts
    cp -r package.json dist node tools node_modules $out/lib/tee-tools/
    for command in tools/*/bin/*.js; do
      name=$(basename "$command" .js)
      ln -s "$out/lib/tee-tools/$command" "$out/bin/$name"
    done
    runHook postInstall
  '';

  meta = {
    description = "Producer and build-time tools for tee-verify";
    license = lib.licenses.asl20;
    mainProgram = "tee-eif";
  };
}
