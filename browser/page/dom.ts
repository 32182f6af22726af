/** What an element gets: attributes, and listeners as functions under `on…`. */
export type Attributes = Readonly<
  Record<string, string | number | boolean | undefined | ((event: Event) => void)>
>;
export type Child = Node | string | undefined | false | readonly Child[];

/**
 * Makes an element. Text only ever becomes a text node: evidence can hold markup, and none of it
 * is read as such.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, `${value}`);
  }
  add(element, children);
  return element;
}

function add(element: HTMLElement, children: readonly Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) add(element, child);
    else if (child !== undefined && child !== false) element.append(child as Node | string);
  }
}

/** The element of the page's own HTML with this id. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** Puts new contents into an element of the page. */
export function fill(id: string, ...children: readonly Child[]): void {
  const element = byId(id);
  element.replaceChildren();
  add(element, children);
}

/** `2026-03-01 12:00:00 UTC`; the number itself when it is no time. */
export function time(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime())
    ? `${milliseconds}`
    : `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** A row of a description list. */
export function row(name: string, value: Child, className = ''): Child {
  return value !== undefined && [h('dt', {}, name), h('dd', { class: className }, value)];
}

/** A box that opens, with a heading. */
export function box(
  summary: Child,
  content: Child,
  attributes: Attributes = {},
): HTMLDetailsElement {
  return h('details', attributes, h('summary', {}, summary), content);
}
