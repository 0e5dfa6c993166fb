// Text of Markdown with characters for what is written as references to them.

const REFERENCE = /&(?:[a-z][a-z0-9]{1,31}|#[0-9]{1,7}|#x[0-9a-f]{1,6});/gi;
const parser = new DOMParser();

/** With characters for what is written as references to them ("&amp;"). A document that is made so runs nothing. */
export const plain = (text: string): string =>
  text.replace(REFERENCE, (reference) => parser.parseFromString(reference, "text/html").documentElement.textContent ?? reference);
