// Text of Markdown with characters for what is written as references to them.

const REFERENCE = /&(?:[a-z][a-z0-9]{1,31}|#[0-9]{1,7}|#x[0-9a-f]{1,6});/gi;
const parser = new DOMParser();

/** Where Trusted Types are known. TypeScript's library leaves them out: `parseFromString` takes text there. */
interface Trusting {
  trustedTypes?: { createPolicy(name: string, rules: { createHTML: (text: string) => string }): { createHTML: (text: string) => string } };
}

// The page's policy refuses text where HTML is read. Here nothing but one reference is, in a document that runs nothing.
const trust = (globalThis as Trusting).trustedTypes?.createPolicy("moorage-references", { createHTML: (reference) => reference });

/** With characters for what is written as references to them ("&amp;"). */
export const plain = (text: string): string => text.replace(REFERENCE, character);

function character(reference: string): string {
  const html = trust?.createHTML(reference) ?? reference;
  return parser.parseFromString(html, "text/html").documentElement.textContent ?? reference;
}
