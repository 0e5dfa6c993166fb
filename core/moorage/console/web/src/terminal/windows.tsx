// The session's windows as tabs: arrow keys go from one to the next, Enter or a click looks at it.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Window } from "./types";

interface WindowsProps {
  windows: Window[];
  shown: string;
  /** Whether a tab changes the session's window, and not only what this page looks at. */
  driving: boolean;
  following: boolean;
  onChoose: (window: Window) => void;
  onFollow: () => void;
  onNew: () => void;
}

export const title = (window: Window): string => `${window.index}: ${window.name}`;

export function Windows({ windows, shown, driving, following, onChoose, onFollow, onNew }: WindowsProps): JSX.Element {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [shown]);
  const move = (event: KeyboardEvent) => {
    const tabs = [...(list.current?.querySelectorAll<HTMLElement>('[role="tab"]') ?? [])];
    const here = tabs.indexOf(document.activeElement as HTMLElement);
    const last = tabs.length - 1;
    const to = { ArrowRight: here === last ? 0 : here + 1, ArrowLeft: here <= 0 ? last : here - 1, Home: 0, End: last }[event.key];
    if (to === undefined || here < 0) return;
    event.preventDefault();
    tabs[to]?.focus();
  };
  return (
    <div class={windows.length > 1 ? "tabs" : "tabs single"}>
      <div class="tablist" role="tablist" aria-label="Windows" ref={list} onKeyDown={move}>
        {windows.map((window) => (
          <button
            key={window.id}
            type="button"
            role="tab"
            id={`tab-${window.id}`}
            class="tab"
            aria-selected={window.id === shown}
            aria-controls="terminal-panel"
            tabIndex={window.id === shown ? 0 : -1}
            title={driving ? "Go to this window, with everybody who follows" : "Look at this window"}
            onClick={() => onChoose(window)}
          >
            {window.active && !following && <span class="here" aria-hidden="true" />}
            {title(window)}
            {window.active && !following && <span class="unseen">, where the session is</span>}
            {window.zoomed && (
              <span class="zoomed" title="One pane fills the window">
                Z<span class="unseen">oomed</span>
              </span>
            )}
          </button>
        ))}
      </div>
      {driving && (
        <button type="button" class="quiet small" onClick={onNew} title="New window">
          +<span class="unseen"> New window</span>
        </button>
      )}
      {!following && (
        <button type="button" class="small follow" onClick={onFollow}>
          Follow
        </button>
      )}
    </div>
  );
}
