# Words of a kernel command line, by the same rules as tools/image/audit/kernel-words.ts.
let
  # "key=value" as its two parts; no value is null. The kernel takes - and _ for the same.
  splitWord =
    word:
    let
      parts = builtins.match "([^=]*)(=(.*))?" word;
      key = builtins.elemAt parts 0;
      isFlag = builtins.substring 0 1 key == "-";
    in
    {
      key = if isFlag then key else builtins.replaceStrings [ "-" ] [ "_" ] key;
      value = builtins.elemAt parts 2;
    };

  matchesWord =
    pattern: word:
    let
      wanted = splitWord pattern;
      found = splitWord word;
    in
    found.key == wanted.key
    && (
      wanted.value == null
      || (if wanted.value == "" then found.value != null else found.value == wanted.value)
    );

  # What systemd reads as a no.
  isNo =
    value:
    value != null && builtins.match "0|[nN][oO]?|[fF]|[fF][aA][lL][sS][eE]|[oO][fF][fF]" value != null;

  any = builtins.any;
  listOf = value: builtins.filter builtins.isString (builtins.split "[ ,\t]+" value);
in
{
  inherit splitWord matchesWord;

  # What one rule ("commandLine" of operator-access.json) has to say about a list of words.
  problems =
    rule: words:
    let
      one =
        word:
        let
          found = splitWord word;
          value = if found.value == null then "" else found.value;
          bad =
            name: forbidden:
            (splitWord name).key == found.key
            && any (part: builtins.elem part forbidden) (listOf value);
          withoutWords = rule.withoutWords or { };
        in
        (if any (pattern: matchesWord pattern word) (rule.forbidden or [ ]) then [ "the word ${word}" ] else [ ])
        ++ (
          if any (pattern: matchesWord pattern word) (rule.notOff or [ ]) && isNo found.value then
            [ "${word} turns it off" ]
          else
            [ ]
        )
        ++ (
          if any (name: bad name withoutWords.${name}) (builtins.attrNames withoutWords) then
            [ "the options in ${word}" ]
          else
            [ ]
        );
      missing = builtins.filter (
        choices: !any (word: any (choice: matchesWord choice word) choices) words
      ) (rule.required or [ ]);
    in
    builtins.concatMap one words
    ++ map (choices: "none of ${builtins.concatStringsSep ", " choices}") missing;
}
