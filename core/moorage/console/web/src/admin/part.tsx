// A part of a page of administration, under its heading.
import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";

export function Part({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  const id = useId();
  return (
    <section class="part" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}
