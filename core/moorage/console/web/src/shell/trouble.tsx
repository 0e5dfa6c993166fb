// What went wrong, said at once, and what to do about it.
import type { JSX } from "preact";

export function Trouble({ text, retry }: { text: string; retry?: () => Promise<void> }): JSX.Element {
  return (
    <div class="trouble" role="alert">
      <p>{text}</p>
      {retry && (
        <button type="button" onClick={() => void retry()}>
          Try again
        </button>
      )}
    </div>
  );
}
