// A name of a program, such as a setting's or a permission's: it breaks where its parts meet.
import type { JSX } from "preact";

export const Name = ({ text }: { text: string }): JSX.Element => (
  <code>
    <Parted text={text} />
  </code>
);

export const Parted = ({ text }: { text: string }): JSX.Element => (
  <>
    {text.split(/(?<=[.:_/])/).map((part, place) => (
      <>
        {place > 0 && <wbr />}
        {part}
      </>
    ))}
  </>
);
