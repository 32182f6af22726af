/**
 * The fenced blocks of a Markdown text that are marked as examples, in order, with the line they
 * start at. A mark that cannot be followed is a problem: else a typing error would skip an example.
 */
export function readExamples(markdown) {
  const examples = [];
  const problems = [];
  let open;
  for (const [index, line] of markdown.split('\n').entries()) {
    if (open === undefined) {
      const match = /^( *)(`{3,}|~{3,}) *(.*?) *$/.exec(line);
      if (match !== null) {
        const [, indent, fence, info] = match;
        open = { indent: indent.length, fence, info: info.split(/ +/), line: index + 1, text: [] };
      }
    } else if (line.trim().startsWith(open.fence) && /^ *(`+|~+) *$/.test(line)) {
      if (open.info.slice(1).includes('example')) take(open);
      open = undefined;
    } else {
      open.text.push(line.slice(Math.min(open.indent, line.length - line.trimStart().length)));
    }
  }
  if (open !== undefined) problems.push(`${open.line}: the block is never closed`);
  return { examples, problems };

  function take({ info, line, text }) {
    const [language, mark, ...rest] = info;
    const exit = /^exit=(\d{1,3})$/.exec(rest[0] ?? 'exit=0');
    if (mark !== 'example' || rest.length > 1 || exit === null) {
      problems.push(`${line}: expected "<language> example [exit=<n>]", got "${info.join(' ')}"`);
    } else if (language !== 'js' && language !== 'sh') {
      problems.push(`${line}: an example is js or sh, not ${language}`);
    } else {
      examples.push({ language, line, text: `${text.join('\n')}\n`, exitStatus: Number(exit[1]) });
    }
  }
}
