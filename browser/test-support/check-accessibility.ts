import type { Page } from 'playwright-core';

/**
 * Problems that people with assistive technology would have, as lines of text: controls without a
 * name, ids used twice, references to nothing, headings that skip a level, images without a text,
 * text with too little contrast (WCAG 2.2, 1.4.3), focus out of the reading order, small targets.
 */
export function checkAccessibility(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const problems: string[] = [];
    const shown = (element: Element): boolean =>
      element.checkVisibility({ visibilityProperty: true });
    const name = (element: Element): string =>
      `${element.tagName.toLowerCase()}${element.id && `#${element.id}`}.${element.getAttribute('class') ?? ''}`;
    const all = [...document.querySelectorAll('*')];

    if (!document.documentElement.lang) problems.push('the page has no language');
    if (!document.title) problems.push('the page has no title');
    for (const landmark of ['main', 'header'])
      if (document.querySelectorAll(landmark).length !== 1) problems.push(`not one ${landmark}`);

    const ids = all.map(({ id }) => id).filter(Boolean);
    for (const id of ids)
      if (ids.indexOf(id) !== ids.lastIndexOf(id)) problems.push(`id twice: ${id}`);
    for (const element of all)
      for (const attribute of ['aria-labelledby', 'aria-describedby', 'for'])
        for (const id of (element.getAttribute(attribute) ?? '').split(' ').filter(Boolean))
          if (!ids.includes(id)) problems.push(`${name(element)}: ${attribute} to nothing: ${id}`);

    for (const control of document.querySelectorAll(
      'input, textarea, select, button, a, summary',
    )) {
      const labels = (control as HTMLInputElement).labels ?? [];
      const text = [...labels, control].map((one) => one.textContent).join('');
      if (!`${text}${control.getAttribute('aria-label') ?? ''}`.trim())
        problems.push(`${name(control)}: no name`);
      if ((control as HTMLElement).tabIndex > 0)
        problems.push(`${name(control)}: tabindex above 0`);
    }
    for (const image of document.querySelectorAll('[role=img], img, svg'))
      if (!image.getAttribute('aria-label') && !image.getAttribute('alt'))
        problems.push(`${name(image)}: no text`);
    for (const table of document.querySelectorAll('table')) {
      if (table.caption === null) problems.push('a table has no caption');
      for (const head of table.querySelectorAll('th'))
        if (!head.scope) problems.push('a heading of a table has no scope');
    }

    let level = 0;
    for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
      const next = Number(heading.tagName[1]);
      if (next > level + 1) problems.push(`${name(heading)}: level ${next} after ${level}`);
      level = next;
    }

    // Contrast of text against the first opaque background behind it.
    type Rgb = readonly [number, number, number, number];
    const rgb = (color: string): Rgb => {
      const [r = 0, g = 0, b = 0, a = 1] = (color.match(/[\d.]+/g) ?? []).map(Number);
      return [r, g, b, a];
    };
    const luminance = ([r, g, b]: Rgb): number =>
      [r, g, b]
        .map((value) => value / 255)
        .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, i) => sum + value * ([0.2126, 0.7152, 0.0722][i] as number), 0);
    const backgroundOf = (element: Element | null): Rgb => {
      for (let one = element; one !== null; one = one.parentElement) {
        const color = rgb(getComputedStyle(one).backgroundColor);
        if (color[3] === 1) return color;
      }
      return [255, 255, 255, 1];
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const element = node.parentElement;
      if (element === null || !node.textContent?.trim() || !shown(element)) continue;
      if (element.closest('.unseen, .skip, noscript, script, option')) continue;
      const style = getComputedStyle(element);
      const [a, b] = [luminance(rgb(style.color)), luminance(backgroundOf(element))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const size = Number.parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      if (ratio < (large ? 3 : 4.5))
        problems.push(
          `${name(element)}: contrast ${ratio.toFixed(2)}: ${node.textContent.slice(0, 30)}`,
        );
    }

    for (const target of document.querySelectorAll('button, summary, .file-button, .node')) {
      const { width, height } = target.getBoundingClientRect();
      if (shown(target) && (width < 24 || height < 24))
        problems.push(`${name(target)}: target of ${Math.round(width)} × ${Math.round(height)}`);
    }
    return [...new Set(problems)];
  });
}
