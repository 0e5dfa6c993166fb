// What went wrong, said at once, and what to do about it.
import type { JSX } from "preact";

interface Problem {
  text: string;
  retry?: () => Promise<void>;
  /** What the button says. */
  label?: string;
}

export function Trouble({ text, retry, label = "Try again" }: Problem): JSX.Element {
  return (
    <div class="trouble" role="alert">
      <p>{text}</p>
      {retry && (
        <button type="button" onClick={() => void retry()}>
          {label}
        </button>
      )}
    </div>
  );
}
