# The functions of nixpkgs' lib that this repository uses, written anew.
let
  override = priority: content: {
    __type = "override";
    inherit priority content;
  };
  last = list: builtins.elemAt list (builtins.length list - 1);
  letters = builtins.genList (index: builtins.substring index 1 "abcdefghijklmnopqrstuvwxyz") 26;
  capitals = builtins.genList (index: builtins.substring index 1 "ABCDEFGHIJKLMNOPQRSTUVWXYZ") 26;
in
rec {
  systems = [
    "x86_64-linux"
    "aarch64-linux"
    "x86_64-darwin"
    "aarch64-darwin"
  ];
  licenses.asl20 = "Apache-2.0";

  inherit last;
  escapeShellArg = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString text)}'";
  importJSON = path: builtins.fromJSON (builtins.readFile path);
  mapAttrs = builtins.mapAttrs;
  makeBinPath = packages: builtins.concatStringsSep ":" (map (package: "${package}/bin") packages);
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: list: if condition then list else [ ];
  toUpper = builtins.replaceStrings letters capitals;
  splitString =
    separator: text: builtins.filter builtins.isString (builtins.split (escapeRegex separator) text);
  escapeRegex = builtins.replaceStrings [ "." "+" "*" "?" ] [ "[.]" "[+]" "[*]" "[?]" ];
  removeSuffix =
    suffix: text:
    let
      length = builtins.stringLength text - builtins.stringLength suffix;
    in
    if length >= 0 && builtins.substring length (-1) text == suffix then
      builtins.substring 0 length text
    else
      text;

  # The module system: definitions with priorities; options only for their defaults.
  mkOverride = override;
  mkForce = override 50;
  mkDefault = override 1000;
  mkOptionDefault = override 1500;
  mkIf = condition: content: {
    __type = "if";
    inherit condition content;
  };
  mkOption = option: option // { __type = "option"; };
  types = {
    bool = "bool";
    str = "str";
    listOf = _: "list";
    enum = _: "enum";
  };
}
