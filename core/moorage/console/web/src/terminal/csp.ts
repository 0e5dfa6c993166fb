// Lets the terminal emulator style itself under a policy that forbids inline styles.
//
// xterm.js fills <style> elements and sets style attributes from script. A content security policy without
// 'unsafe-inline' refuses both, but not the object model: so the text of a <style> goes into a constructed
// stylesheet, and a style attribute of a <span> through its declaration block. Nothing that another party writes
// passes here: both texts are made by the emulator from numbers and colours.

const sheets = new WeakMap<HTMLStyleElement, CSSStyleSheet>();

function fill(element: HTMLStyleElement, text: string | null): void {
  let sheet = sheets.get(element);
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheets.set(element, sheet);
    document.adoptedStyleSheets.push(sheet);
  }
  sheet.replaceSync(text ?? "");
}

export function adoptStyles(): void {
  Object.defineProperty(HTMLStyleElement.prototype, "textContent", {
    configurable: true,
    get: () => "",
    set(this: HTMLStyleElement, text: string | null) {
      fill(this, text);
    },
  });
  HTMLStyleElement.prototype.remove = function remove(this: HTMLStyleElement): void {
    const sheet = sheets.get(this);
    if (sheet) {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
      sheets.delete(this);
    }
    Element.prototype.remove.call(this);
  };
  HTMLSpanElement.prototype.setAttribute = function setAttribute(this: HTMLSpanElement, name: string, value: string): void {
    if (name === "style") this.style.cssText = value;
    else Element.prototype.setAttribute.call(this, name, value);
  };
}
