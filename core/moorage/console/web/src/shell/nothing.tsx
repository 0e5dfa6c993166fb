// In place of a page at an address that has none.
import type { ComponentChildren, JSX } from "preact";
import { useTitle } from "../forms";

/** `children`: what to do instead, with a link. */
export function Nothing({ title = "Nothing is here", children }: { title?: string; children: ComponentChildren }): JSX.Element {
  useTitle(title);
  return (
    <main class="narrow">
      <h1>{title}</h1>
      <p>{children}</p>
    </main>
  );
}
