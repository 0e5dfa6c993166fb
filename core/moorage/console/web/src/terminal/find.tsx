// Finds a text among the rows that this page keeps of the pane; what is older is in the history.
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Screen } from "./screen";

interface FindProps {
  screen: () => Screen | undefined;
  onHistory: () => void;
  onClose: () => void;
}

export function Find({ screen, onHistory, onClose }: FindProps): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const [found, setFound] = useState(true);
  useLayoutEffect(() => field.current?.focus(), []);
  const find = async (wanted: string, backwards: boolean, incremental = false) => {
    if (wanted === "") {
      screen()?.clearSelection();
      setFound(true);
    } else setFound((await screen()?.find(wanted, backwards, { incremental })) ?? false);
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "Escape") onClose();
    else if (event.key === "Enter" && event.target === field.current) void find(text, !event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="find" role="search" onKeyDown={press}>
      <input
        ref={field}
        type="search"
        aria-label="Find in this terminal"
        placeholder="Find"
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          void find(event.currentTarget.value, true, true);
        }}
      />
      <button type="button" class="quiet small" title="Previous (Enter)" onClick={() => void find(text, true)}>
        ↑<span class="unseen"> Previous</span>
      </button>
      <button type="button" class="quiet small" title="Next (Shift+Enter)" onClick={() => void find(text, false)}>
        ↓<span class="unseen"> Next</span>
      </button>
      <span class="result" aria-live="polite">
        {found ? "" : "Not here"}
      </span>
      <button type="button" class="quiet small" onClick={onHistory}>
        Whole history
      </button>
      <button type="button" class="quiet small" onClick={onClose} aria-label="Close">
        ✕
      </button>
    </div>
  );
}
