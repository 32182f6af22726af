# Zero operator access, as a plain function over the configuration of a NixOS system: needs nothing
# of nixpkgs, so that configurations can be tested without it (nix/testing/policy.nix).
#
# Gives a list of { name, id, assertion, message }: `name` is the assertion's own, `id` the rule of
# operator-access.json behind it, which `tee-image audit` reads, too.
config:
let
  policy = builtins.fromJSON (builtins.readFile ./operator-access.json);
  kernel = import ./kernel-words.nix;

  rules = builtins.listToAttrs (
    map (rule: {
      name = rule.id;
      value = rule;
    }) policy.rules
  );

  names = builtins.attrNames;
  show = builtins.concatStringsSep ", ";
  isOn = value: value == true;

  # A locked account: no password fits.
  isLocked = hash: hash == null || builtins.match "[!*].*" hash != null;

  # One assertion. `problems` says what is wrong, one text each.
  expect = name: id: problems: {
    inherit name id;
    assertion = problems == [ ];
    message =
      "zero operator access (${id}): ${show problems}. ${rules.${id}.why} ${rules.${id}.remedy}"
      + " See tee-verify.operatorAccess.";
  };
  when = condition: text: if condition then [ text ] else [ ];

  users = config.users.users or { };
  usersWith =
    what: problem:
    map (name: "${name} has ${what}") (builtins.filter (name: problem users.${name}) (names users));

  # "name@.service" of "name@instance.service".
  templateOf =
    unit:
    let
      parts = builtins.match "([^@]+@)[^.]*([.][a-z]+)" unit;
    in
    if parts == null then unit else builtins.concatStringsSep "" parts;
  unitsOf =
    kind: suffix:
    map (name: "${name}.${suffix}") (
      builtins.filter (name: config.systemd.${kind}.${name}.enable or true) (
        names (config.systemd.${kind} or { })
      )
    );
  # Those that are given as text, too.
  rawUnits = config.systemd.units or { };
  units =
    unitsOf "services" "service"
    ++ unitsOf "sockets" "socket"
    ++ unitsOf "targets" "target"
    ++ builtins.filter (name: rawUnits.${name}.enable or true) (names rawUnits);

  # What a service starts: words whose last part is a program that the policy names.
  asTexts =
    value: if builtins.isList value then map toString value else if value == null then [ ] else [ (toString value) ];
  execKeys = [
    "ExecCondition"
    "ExecStartPre"
    "ExecStart"
    "ExecStartPost"
  ];
  scriptKeys = [
    "preStart"
    "script"
    "postStart"
  ];
  commandsOf =
    service:
    builtins.concatMap (key: asTexts (service.serviceConfig.${key} or [ ])) execKeys
    ++ builtins.concatMap (key: asTexts (service.${key} or null)) scriptKeys;
  # Programs by their path: other words, addresses and folders may be named as a program is. Without
  # strings' context: they are only read.
  programsIn =
    text:
    map (word: builtins.elemAt word 2) (
      builtins.filter builtins.isList (
        builtins.split "/(s?bin|libexec)/([A-Za-z0-9_.+-]+/)*([A-Za-z0-9_.+-]+)" (
          builtins.unsafeDiscardStringContext text
        )
      )
    );
  startsOf =
    rule:
    let
      wanted = (rule.programs or [ ]) ++ (rule.commands or [ ]);
      services = config.systemd.services or { };
      isNamed = name: any (one: builtins.elem one allUnits) [ "${name}.service" (templateOf "${name}.service") ];
      allUnits = builtins.concatMap (one: one.units or [ ]) policy.rules;
      any = builtins.any;
    in
    builtins.concatMap (
      name:
      if !(services.${name}.enable or true) || isNamed name then
        [ ]
      else
        map (program: "${name}.service starts ${program}") (
          builtins.filter (program: builtins.elem program wanted) (
            builtins.concatMap programsIn (commandsOf services.${name})
          )
        )
    ) (names services);
  unitsFor =
    rule:
    builtins.filter (unit: builtins.elem unit rule.units || builtins.elem (templateOf unit) rule.units) units;

  packageName = package: package.pname or (builtins.parseDrvName (package.name or "")).name;
  packages = map packageName (config.environment.systemPackages or [ ]);

  # Elements may hold several words; the root hash comes later, with the UKI.
  words = kernel.wordsOf (config.boot.kernelParams or [ ]);
  isAdded = id: id == "verity";
  lineOf =
    rule: if isAdded rule.id then removeAttrs rule.commandLine [ "required" ] else rule.commandLine;

  volatile = [
    "tmpfs"
    "ramfs"
    "none"
    "proc"
    "sysfs"
    "devtmpfs"
    "cgroup2"
    "debugfs"
    "tracefs"
    "configfs"
    "bpf"
    "mqueue"
    "hugetlbfs"
    "efivarfs"
    "pstore"
    "fusectl"
    "binfmt_misc"
    "overlay"
    "erofs"
    "squashfs"
  ];
  isWritable =
    fs:
    let
      options = fs.options or [ ];
    in
    !(builtins.elem (fs.fsType or "auto") volatile)
    && !(builtins.elem "ro" options && !(builtins.elem "rw" options))
    && !(builtins.elem "bind" options);
  fileSystems = config.fileSystems or { };
  mountedWhere = problem: builtins.filter (path: problem path fileSystems.${path}) (names fileSystems);
  isEsp = path: fs: builtins.elem path [ "/boot" "/boot/efi" "/efi" ] || (fs.fsType or "") == "vfat";

  autoLogin = config.services.displayManager.autoLogin.enable or false;
  emergencyAccess = config.boot.initrd.systemd.emergencyAccess or false;

  withKey = key: builtins.filter (rule: rule ? ${key}) policy.rules;
in
map (
  rule: expect "units-${rule.id}" rule.id (map (unit: "the unit ${unit}") (unitsFor rule))
) (withKey "units")
++ map (rule: expect "starts-${rule.id}" rule.id (startsOf rule)) (
  builtins.filter (rule: rule.severity == "high" && (rule ? programs || rule ? commands)) policy.rules
)
++ map (
  rule:
  expect "packages-${rule.id}" rule.id (
    map (name: "the package ${name}") (builtins.filter (name: builtins.elem name rule.packages) packages)
  )
) (withKey "packages")
++ map (
  rule: expect "command-line-${rule.id}" rule.id (kernel.problems (lineOf rule) words)
) (withKey "commandLine")
++ [
  (expect "openssh" "ssh-server" (
    when (isOn (config.services.openssh.enable or false)) "services.openssh is enabled"
  ))
  (expect "initrd-ssh" "ssh-server" (
    when (isOn (config.boot.initrd.network.ssh.enable or false)) "boot.initrd.network.ssh is enabled"
  ))
  (expect "getty-autologin" "autologin" (
    when ((config.services.getty.autologinUser or null) != null) "services.getty.autologinUser is set"
  ))
  (expect "display-autologin" "autologin" (
    when (isOn autoLogin) "services.displayManager.autoLogin is enabled"
  ))
  (expect "immutable-users" "password" (
    when (config.users.mutableUsers or true) "users.mutableUsers is not false"
  ))
  (expect "plain-password" "password" (
    usersWith "a password" (user: (user.password or null) != null || (user.initialPassword or null) != null)
  ))
  (expect "hashed-password" "password" (
    usersWith "a password hash" (
      user: !isLocked (user.hashedPassword or null) || !isLocked (user.initialHashedPassword or null)
    )
  ))
  (expect "password-file" "password" (
    usersWith "a password file" (user: (user.hashedPasswordFile or null) != null)
  ))
  (expect "authorized-keys" "authorized-keys" (
    usersWith "authorized keys" (
      user:
      (user.openssh.authorizedKeys.keys or [ ]) != [ ] || (user.openssh.authorizedKeys.keyFiles or [ ]) != [ ]
    )
  ))
  (expect "initrd-emergency" "debug-shell" (
    when (
      emergencyAccess != false && emergencyAccess != null
    ) "boot.initrd.systemd.emergencyAccess is not false"
  ))
  (expect "emergency-mode" "debug-shell" (
    when (config.systemd.enableEmergencyMode or true) "systemd.enableEmergencyMode is not false"
  ))
  (expect "verity-store" "verity" (
    when (
      !(isOn (config.image.repart.verityStore.enable or false))
    ) "image.repart.verityStore is not enabled"
  ))
  (expect "volatile-root" "writable-root" (
    when ((fileSystems."/".fsType or "") != "tmpfs") "the root is no tmpfs"
  ))
  (expect "writable-file-systems" "writable-root" (
    map (path: "${path} is mounted for writing") (mountedWhere (_: isWritable))
  ))
  (expect "writable-mounts" "writable-root" (
    map (mount: "${mount.where or "?"} is mounted for writing") (
      builtins.filter (
        mount:
        isWritable {
          fsType = mount.type or "auto";
          options = builtins.filter builtins.isString (builtins.split "," (mount.options or ""));
        }
      ) ((config.systemd.mounts or [ ]) ++ (config.boot.initrd.systemd.mounts or [ ]))
    )
  ))
  (expect "swap" "writable-root" (
    when ((config.swapDevices or [ ]) != [ ]) "swapDevices is not empty"
  ))
  (expect "esp-mounted" "esp-files" (map (path: "${path} is mounted") (mountedWhere isEsp)))
  (expect "sudo" "sudo" (when (isOn (config.security.sudo.enable or false)) "security.sudo is enabled"))
  (expect "sudo-rs" "sudo" (
    when (isOn (config.security.sudo-rs.enable or false)) "security.sudo-rs is enabled"
  ))
  (expect "doas" "sudo" (when (isOn (config.security.doas.enable or false)) "security.doas is enabled"))
  (expect "setuid-wrappers" "setuid" (
    when (config.security.enableWrappers or true) "security.enableWrappers is not false"
  ))
]
