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
      # "word!": alone.
      alone = builtins.match "(.*)!" pattern;
      wanted = splitWord (if alone == null then pattern else builtins.head alone);
      found = splitWord word;
    in
    found.key == wanted.key
    && (
      if alone != null then
        found.value == null
      else
        wanted.value == null
        || found.value != null && (wanted.value == "" || matchesText wanted.value found.value)
    );

  # "*" in a pattern stands for anything.
  specials = [ "\\" "." "+" "?" "(" ")" "[" "]" "{" "}" "^" "$" "|" ];
  matchesText =
    pattern: text:
    let
      escaped = builtins.replaceStrings (specials ++ [ "*" ]) (map (c: "\\${c}") specials ++ [ ".*" ]) pattern;
    in
    builtins.match escaped text != null;

  # A word by itself is no opening when its value is a no; a pattern with a value says which.
  opens =
    word: pattern:
    matchesWord pattern word
    && (builtins.match ".*[=!].*" pattern != null || !(isNo (splitWord word).value));

  # What systemd reads as a no.
  isNo =
    value:
    value != null && builtins.match "0|[nN][oO]?|[fF]|[fF][aA][lL][sS][eE]|[oO][fF][fF]" value != null;

  any = builtins.any;
  listOf = value: builtins.filter builtins.isString (builtins.split "[ ,\t]+" value);
  # Elements of boot.kernelParams as the words that the kernel makes of them: quotation marks only keep
  # spaces together, and are no part of the word.
  wordsOf =
    texts:
    builtins.filter (word: builtins.isString word && word != "") (
      builtins.concatMap (text: builtins.split "[ \t\r\n]+" (builtins.replaceStrings [ "\"" ] [ "" ] text)) texts
    );
in
{
  inherit wordsOf splitWord matchesWord matchesText;

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
          only = (rule.onlyValues or { }).${found.key} or null;
        in
        (if any (opens word) (rule.forbidden or [ ]) then [ "the word ${word}" ] else [ ])
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
        )
        ++ (
          if only != null && !any (pattern: matchesText pattern value) only then
            [ "the word ${word}" ]
          else
            [ ]
        );
      missing = builtins.filter (
        choices:
        !any (word: (splitWord word).value != "" && any (choice: matchesWord choice word) choices) words
      ) (rule.required or [ ]);
    in
    builtins.concatMap one words
    ++ map (choices: "none of ${builtins.concatStringsSep ", " choices}") missing;
}
