// A name of a program, such as a setting's or a permission's: it breaks where its parts meet.
import type { JSX } from "preact";

export function Name({ text }: { text: string }): JSX.Element {
  return (
    <code>
      {text.split(/(?<=[.:_/])/).map((part, place) => (
        <>
          {place > 0 && <wbr />}
          {part}
        </>
      ))}
    </code>
  );
}
