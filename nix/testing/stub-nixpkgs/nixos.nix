# A module system in small: definitions are merged by priority as in NixOS, unknown options are
# accepted. Assertions and warnings work. What NixOS would set by itself stands in nixos/defaults.nix.
{
  host,
  lib,
  pkgsFor,
}:
{ modules }:
let
  isA = type: value: builtins.isAttrs value && (value.__type or "") == type;
  isPlain = value: builtins.isAttrs value && !(value ? __type) && (value.type or "") != "derivation";

  # Modules with those that they import.
  load =
    module:
    let
      value = if builtins.isPath module || builtins.isString module then import module else module;
      made = if builtins.isFunction value then value arguments else value;
    in
    builtins.concatMap load (made.imports or [ ]) ++ [ made ];
  loaded = builtins.concatMap load ([ (import ./nixos/defaults.nix { inherit host; }) ] ++ modules);

  definitionsOf =
    module:
    if module ? config || module ? options then
      module.config or { }
    else
      removeAttrs module [ "imports" ];

  # A condition around a set becomes one around each of its values.
  pushDown =
    value:
    if isA "if" value then
      builtins.mapAttrs (_: content: lib.mkIf value.condition content) value.content
    else
      value;

  # Every value as { priority, value }, conditions and overrides unwrapped.
  unwrap =
    priority: value:
    if isA "if" value then
      (if value.condition then unwrap priority value.content else [ ])
    else if isA "override" value then
      unwrap value.priority value.content
    else
      [ { inherit priority value; } ];

  merge =
    path: found:
    let
      lowest = builtins.foldl' (low: one: if one.priority < low then one.priority else low) 9999 found;
      # Sets are merged whatever their priority: it counts for what is inside.
      sets = builtins.filter (one: isPlain one.value) found;
      strongest = map (one: one.value) (builtins.filter (one: one.priority == lowest) found);
      first = builtins.head strongest;
      names = builtins.attrNames (builtins.foldl' (all: one: all // one.value) { } sets);
    in
    if found == [ ] then
      throw "${path} is not defined"
    else if builtins.length sets == builtins.length found then
      builtins.listToAttrs (
        map (name: {
          inherit name;
          # Left until it is asked for: conditions depend on the configuration.
          value = merge "${path}.${name}" (
            builtins.concatMap (
              one: if one.value ? ${name} then unwrap one.priority one.value.${name} else [ ]
            ) sets
          );
        }) names
      )
    else if builtins.isList first then
      builtins.concatLists strongest
    else if builtins.all (value: value == first) strongest then
      first
    else
      throw "conflicting definitions of ${path}";

  defaultsOf =
    options:
    if isA "option" options then
      (if options ? default then lib.mkOptionDefault options.default else lib.mkIf false null)
    else
      builtins.mapAttrs (_: defaultsOf) options;

  config = merge "config" (
    builtins.concatMap (
      module: unwrap 100 (pushDown (definitionsOf module)) ++ unwrap 100 (defaultsOf (module.options or { }))
    ) loaded
  );

  arguments = {
    inherit config lib;
    pkgs = pkgsFor config.nixpkgs.hostPlatform;
    modulesPath = toString ./nixos;
    options = { };
  };

  failed = map (check: "- ${check.message}") (builtins.filter (check: !check.assertion) config.assertions);
  checked =
    if failed != [ ] then
      throw "Failed assertions:\n${builtins.concatStringsSep "\n" failed}"
    else
      builtins.foldl' (value: text: builtins.trace "warning: ${text}" value) config config.warnings;
in
{
  config = checked;
}
