# Refuses configurations that let an operator in: nix/policy/operator-access.nix as assertions.
{ config, lib, ... }:
let
  cfg = config.tee-verify.operatorAccess;
  checks = import ../policy/operator-access.nix config;
  ids = map (rule: rule.id) (builtins.fromJSON (builtins.readFile ../policy/operator-access.json)).rules;
in
{
  options.tee-verify.operatorAccess = {
    enforce = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Whether a configuration that lets an operator in is refused.";
    };
    allow = lib.mkOption {
      type = lib.types.listOf (lib.types.enum ids);
      default = [ ];
      example = [ "sudo" ];
      description = "Rules of nix/policy/operator-access.json that this system may break.";
    };
  };

  config = {
    assertions = lib.mkIf cfg.enforce (
      map (check: { inherit (check) assertion message; }) (
        builtins.filter (check: !(builtins.elem check.id cfg.allow)) checks
      )
    );
    warnings =
      if cfg.enforce then
        map (
          id: "tee-verify: the rule ${id} is not enforced for this image (tee-verify.operatorAccess.allow)."
        ) cfg.allow
      else
        [ "tee-verify: nothing keeps operators out of this image (tee-verify.operatorAccess.enforce)." ];
  };
}
